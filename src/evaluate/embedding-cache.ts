/**
 * Embeddings of photos that were computed before, in one append-only file, so that a long evaluation resumes.
 *
 * One JSON document a line: key and vector (base64 of little-endian float32), or null where no face was found. A key names the
 * image's bytes, the space, and the choices of the run, so another model adds entries of its own; code that changes the pipeline
 * without changing the space's name needs a new file. A line that was cut short by a crash is skipped and computed anew. Not for
 * two processes at once.
 */
import { appendFile, readFile } from 'node:fs/promises';
import { trustUnitVector, type UnitVector } from '../vector.js';

export interface EmbeddingCache {
  /** Undefined when unknown, null when the photo shows no face. */
  get(key: string): UnitVector | null | undefined;
  /** Resolves when the entry is in the file. */
  set(key: string, vector: UnitVector | null): Promise<void>;
}

/** A cache that forgets: for evaluations without a file. */
export function emptyCache(): EmbeddingCache {
  return { get: () => undefined, set: async () => undefined };
}

/** Reads `path`, which need not exist yet. */
export async function openEmbeddingCache(path: string, dimensions: number): Promise<EmbeddingCache> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw error;
  });
  const entries = new Map<string, UnitVector | null>();
  for (const line of text.split('\n')) {
    const entry = parseEntry(line, dimensions);
    if (entry) entries.set(entry.key, entry.vector);
  }
  // A torn last line must not swallow the next entry.
  let prefix = text === '' || text.endsWith('\n') ? '' : '\n';
  return {
    get: (key) => entries.get(key),
    set: async (key, vector) => {
      entries.set(key, vector);
      const line = `${prefix}${JSON.stringify({ key, vector: vector && toBase64(vector) })}\n`;
      prefix = '';
      await appendFile(path, line);
    },
  };
}

function parseEntry(line: string, dimensions: number): { key: string; vector: UnitVector | null } | undefined {
  let entry: unknown;
  try {
    entry = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof entry !== 'object' || entry === null || !('key' in entry) || !('vector' in entry)) return undefined;
  const { key, vector } = entry;
  if (typeof key !== 'string') return undefined;
  if (vector === null) return { key, vector };
  if (typeof vector !== 'string') return undefined;
  const bytes = Buffer.from(vector, 'base64');
  if (bytes.length !== dimensions * 4) return undefined;
  const values = Float32Array.from({ length: dimensions }, (_, i) => bytes.readFloatLE(i * 4));
  return { key, vector: trustUnitVector(values) };
}

function toBase64(vector: UnitVector): string {
  const bytes = Buffer.alloc(vector.length * 4);
  vector.forEach((value, i) => bytes.writeFloatLE(value, i * 4));
  return bytes.toString('base64');
}
