/**
 * hnswlib in C++, compiled by the bench for this very machine (-O3 -march=native: AVX where there is), from the headers inside hnswlib-node's package: the fastest
 * that an embedded HNSW graph of float32 is measured against. A process of its own, asked over its standard input.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { benchPath } from './machine.js';

export interface NativeHnswlib {
  readonly seconds: number;
  readonly bytes: number;
  /** All probes once. */
  readonly search: (
    ef: number,
    k: number,
  ) => Promise<{ readonly microseconds: number; readonly labels: readonly number[] }>;
  readonly close: () => Promise<void>;
}

/** Null where there is no compiler. @param folder for the program */
export async function compileNativeHnswlib(folder: string): Promise<string | null> {
  const headers = join(dirname(createRequire(import.meta.url).resolve('hnswlib-node/package.json')), 'src');
  const program = join(folder, 'hnswlib');
  try {
    await promisify(execFile)('g++', [
      '-O3',
      '-march=native',
      '-std=c++17',
      '-I',
      headers,
      join(benchPath, 'native', 'hnswlib.cpp'),
      '-o',
      program,
    ]);
    return program;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

/** Builds a graph of the vectors in a file. */
export async function startNativeHnswlib(program: string, words: readonly (string | number)[]): Promise<NativeHnswlib> {
  const child = spawn(program, words.map(String), { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async (): Promise<unknown> => {
    const { value, done } = await lines.next();
    if (done) throw new Error('the native peer has ended');
    return JSON.parse(value);
  };
  const { seconds, bytes } = (await answer()) as { seconds: number; bytes: number };
  return {
    seconds,
    bytes,
    async search(ef, k) {
      child.stdin.write(`${ef} ${k}\n`);
      return (await answer()) as { microseconds: number; labels: readonly number[] };
    },
    async close() {
      child.stdin.end();
      if (child.exitCode === null) await once(child, 'exit');
    },
  };
}
