/** The files of an audit log: their names, and their lines. */
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isMissing } from '../files/disk-errors.js';
import { readLine, type ReadLine } from './audit-line.js';

const namePattern = /^audit-(\d{8,})\.jsonl$/;

export interface AuditFile {
  /** Counts from 1. */
  readonly number: number;
  readonly name: string;
  readonly path: string;
}

export function auditFile(folder: string, number: number): AuditFile {
  const name = `audit-${String(number).padStart(8, '0')}.jsonl`;
  return { number, name, path: join(folder, name) };
}

/** In their order; none where there is no folder. */
export async function auditFiles(folder: string): Promise<readonly AuditFile[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
  return names
    .flatMap((name) => {
      const number = namePattern.exec(name)?.[1];
      return number === undefined ? [] : [auditFile(folder, Number(number))];
    })
    .toSorted((a, b) => a.number - b.number);
}

export type NumberedLine = ReadLine & {
  /** Counts from 1. */
  readonly number: number;
  /** Where it begins, bytes. */
  readonly at: number;
  /** False for what follows the last line end: a write that was cut short. */
  readonly isWhole: boolean;
};

/** In blocks of bytes, so that a file of any size is read in bounded memory. */
export async function* linesOf({ path }: AuditFile): AsyncIterable<NumberedLine> {
  const handle = await open(path, 'r');
  try {
    let rest: Buffer = Buffer.alloc(0);
    let [number, at] = [1, 0];
    for await (const chunk of handle.createReadStream({ autoClose: false, highWaterMark: 1 << 18 })) {
      rest = rest.length === 0 ? (chunk as Buffer) : Buffer.concat([rest, chunk as Buffer]);
      let from = 0;
      for (let end = rest.indexOf(10, from); end >= 0; end = rest.indexOf(10, from)) {
        yield { ...readLine(rest.subarray(from, end)), number: number++, at, isWhole: true };
        at += end + 1 - from;
        from = end + 1;
      }
      rest = rest.subarray(from);
    }
    if (rest.length > 0) yield { ...readLine(rest), number, at, isWhole: false };
  } finally {
    await handle.close();
  }
}
