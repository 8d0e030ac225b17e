/**
 * The adapters of rollouts as they run: in a thread of their own, opened when they are first wanted, verified by their digest.
 */
import { createHash } from 'node:crypto';
import { HarmonidError } from '../errors.js';
import { trustUnitVector, type UnitVector } from '../vector.js';
import { startMigrateThread, type MigrateThread } from './migrate-thread.js';
import type { AdapterManifest } from './rollout.js';

export class Adapters {
  #thread: MigrateThread | null = null;
  /** In that thread. */
  readonly #opened = new Map<string, Promise<unknown>>();
  #isClosed = false;

  /**
   * Vectors of the one space in the other.
   * @param read the adapter's ONNX file
   * @throws DATA_CORRUPT when the file is not the one that the manifest tells of
   */
  async map(
    { sha256, toDimensions, fromDimensions }: AdapterManifest,
    read: () => Uint8Array | undefined,
    vectors: readonly UnitVector[],
  ): Promise<readonly UnitVector[]> {
    if (vectors.length === 0) return [];
    const thread = this.#living();
    const opening = this.#opened.get(sha256) ?? open(thread, sha256, toDimensions, read);
    this.#opened.set(sha256, opening);
    try {
      await opening;
    } catch (error) {
      this.#opened.delete(sha256);
      throw error;
    }
    const data = new Float32Array(vectors.length * fromDimensions);
    vectors.forEach((vector, row) => data.set(vector, row * fromDimensions));
    const mapped = await thread.call('map', { sha256, rows: vectors.length, data });
    return vectors.map((_, row) => trustUnitVector(mapped.slice(row * toDimensions, (row + 1) * toDimensions)));
  }

  /** One that died is replaced: what killed it may never come again. */
  #living(): MigrateThread {
    if (this.#thread && (this.#isClosed || !this.#thread.isDead)) return this.#thread;
    if (this.#isClosed) throw new HarmonidError('CLOSED', 'the database is closed');
    this.#opened.clear();
    return (this.#thread = startMigrateThread());
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#thread?.close();
  }
}

async function open(
  thread: MigrateThread,
  sha256: string,
  dimensionsTo: number,
  read: () => Uint8Array | undefined,
): Promise<void> {
  const network = read();
  const found = network ? createHash('sha256').update(network).digest('hex') : 'nothing';
  if (!network || found !== sha256) {
    throw new HarmonidError('DATA_CORRUPT', `the adapter kept has SHA-256 ${found}, its manifest says ${sha256}`, {
      details: { found, expected: sha256 },
    });
  }
  await thread.call('open', { sha256, network, dimensionsTo });
}
