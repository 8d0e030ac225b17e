/** A real database in a folder of its own for one test, checked and removed afterwards. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Database } from '../../src/api.js';
import { openDatabase, type DatabaseOptions } from '../../src/database.js';
import type { Embedder } from '../../src/embedder/embedder.js';
import { openOnnxEmbedder } from '../../src/embedder/onnx-embedder.js';
import { repositoryPath } from './paths.js';

/** Built once, shared by all tests: the default pack takes seconds to write. */
export const modelsPath = join(repositoryPath, '.cache', 'models');

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'harmonid-test-'));
}

/** The default pack on the CPU. The caller closes it. */
export function openTestEmbedder(): Promise<Embedder> {
  return openOnnxEmbedder({ modelsPath, provider: 'cpu' });
}

/** The embedder without its end: a database closes the embedder that it was given, and tests share one. */
export function keptOpen(embedder: Embedder): Embedder {
  return {
    info: embedder.info,
    embedImage: (image, options) => embedder.embedImage(image, options),
    embedAlignedCrop: (crop, options) => embedder.embedAlignedCrop(crop, options),
    stats: () => embedder.stats(),
    close: async () => undefined,
  };
}

/** Runs `work` on a fresh database and removes its folder. */
export async function withDatabase(
  options: Omit<DatabaseOptions, 'path'>,
  work: (database: Database, path: string) => Promise<void>,
): Promise<void> {
  const path = temporaryFolder();
  try {
    const database = await openDatabase({ ...options, path });
    try {
      await work(database, path);
    } finally {
      await database.close();
    }
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}
