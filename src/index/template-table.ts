/**
 * Every template of one gallery in memory, flat: label -> owner and vector, and the exact scan over them.
 *
 * Rows live in chunks that never move; a removed row is overwritten with zeros and used again. No clock, no I/O.
 */
import { assertInvariant, HarmonidError } from '../errors.js';
import type { NearestOwners } from '../engine/nearest-owners.js';
import { isAllowed, type GraphEntries, type OwnerSet } from './graph.js';

const rowsPerChunk = 4096;

/** Which templates a scan looks at. */
export interface ScanFilter {
  readonly allow?: OwnerSet | undefined;
  readonly exclude?: number | undefined;
}

export class TemplateTable {
  readonly dimensions: number;
  readonly #chunks: Float32Array[] = [];
  readonly #rows = new Map<number, number>();
  readonly #free: number[] = [];
  /** By row; a free row has `rowIsFree` 1. */
  #labels = new Uint32Array(rowsPerChunk);
  #owners = new Uint32Array(rowsPerChunk);
  #rowIsFree = new Uint8Array(rowsPerChunk).fill(1);
  #rowsUsed = 0;

  constructor(dimensions: number) {
    this.dimensions = dimensions;
  }

  get count(): number {
    return this.#rows.size;
  }

  get bytes(): number {
    return this.#chunks.length * rowsPerChunk * this.dimensions * 4 + this.#labels.length * 9 + this.#rows.size * 40;
  }

  /** Rows for `scanRows`: those in use and those that were. */
  get rowCount(): number {
    return this.#rowsUsed;
  }

  has(label: number): boolean {
    return this.#rows.has(label);
  }

  /** Live: what is added while it is read comes at its end, and what is removed before its turn does not come. */
  labels(): IterableIterator<number> {
    return this.#rows.keys();
  }

  /** Undefined when the label is not there (any more). */
  ownerOf(label: number): number | undefined {
    const row = this.#rows.get(label);
    return row === undefined ? undefined : this.#owners[row];
  }

  /** A view, valid until the label is removed. */
  vectorOf(label: number): Float32Array {
    const row = this.#rows.get(label);
    assertInvariant(row !== undefined, 'only a label in the table has a vector');
    return this.#vectorAt(row);
  }

  add({ labels, owners, vectors }: GraphEntries): void {
    checkEntries({ labels, owners, vectors }, this.dimensions, (label) => this.#rows.has(label));
    const values = this.dimensions;
    for (let i = 0; i < labels.length;) {
      // As many as lie side by side, because a copy of many rows is much cheaper than many copies.
      const isNew = this.#free.length === 0;
      const row = this.#takeRow();
      const first = i;
      let last = row;
      this.#fillRow(last, labels[i] as number, owners[i++] as number);
      while (isNew && i < labels.length && (last + 1) % rowsPerChunk !== 0) {
        last = this.#takeRow();
        this.#fillRow(last, labels[i] as number, owners[i++] as number);
      }
      this.#chunkOf(row).set(vectors.subarray(first * values, i * values), (row % rowsPerChunk) * values);
    }
  }

  /** Whether the label was there. */
  remove(label: number): boolean {
    const row = this.#rows.get(label);
    if (row === undefined) return false;
    this.#rows.delete(label);
    this.#rowIsFree[row] = 1;
    this.#vectorAt(row).fill(0);
    this.#free.push(row);
    return true;
  }

  /** Compares the probe with every template, or with those of `labels` only; offers the hits to `nearest`. */
  scan(probe: Float32Array, nearest: NearestOwners, { allow, exclude }: ScanFilter, labels?: Iterable<number>): void {
    if (labels) {
      for (const label of labels) {
        const row = this.#rows.get(label);
        if (row !== undefined) this.#compare(row, probe, nearest, allow, exclude);
      }
      return;
    }
    this.scanRows(probe, nearest, { allow, exclude }, 0, this.#rowsUsed);
  }

  /** Compares the probe with the templates in the rows from <= row < to. */
  scanRows(
    probe: Float32Array,
    nearest: NearestOwners,
    { allow, exclude }: ScanFilter,
    from: number,
    to: number,
  ): void {
    const end = Math.min(to, this.#rowsUsed);
    for (let row = from; row < end; row++) {
      if (this.#rowIsFree[row] === 0) this.#compare(row, probe, nearest, allow, exclude);
    }
  }

  #compare(
    row: number,
    probe: Float32Array,
    nearest: NearestOwners,
    allow: OwnerSet | undefined,
    exclude: number | undefined,
  ): void {
    const owner = this.#owners[row] as number;
    if (owner === exclude || (allow && !isAllowed(allow, owner))) return;
    const chunk = this.#chunkOf(row);
    const distance = boundedDistance(probe, chunk, (row % rowsPerChunk) * this.dimensions, nearest.worst);
    if (distance <= nearest.worst) nearest.offer(owner, this.#labels[row] as number, distance);
  }

  #vectorAt(row: number): Float32Array {
    const start = (row % rowsPerChunk) * this.dimensions;
    return this.#chunkOf(row).subarray(start, start + this.dimensions);
  }

  #chunkOf(row: number): Float32Array {
    return this.#chunks[Math.floor(row / rowsPerChunk)] as Float32Array;
  }

  #fillRow(row: number, label: number, owner: number): void {
    this.#labels[row] = label;
    this.#owners[row] = owner;
    this.#rowIsFree[row] = 0;
    this.#rows.set(label, row);
  }

  #takeRow(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const row = this.#rowsUsed++;
    if (row === this.#chunks.length * rowsPerChunk) this.#chunks.push(new Float32Array(rowsPerChunk * this.dimensions));
    if (row === this.#labels.length) {
      this.#labels = grown(this.#labels, new Uint32Array(row * 2));
      this.#owners = grown(this.#owners, new Uint32Array(row * 2));
      this.#rowIsFree = grown(this.#rowIsFree, new Uint8Array(row * 2));
    }
    return row;
  }
}

/** All or nothing: native code must never see what is not finite, nor a label twice. @throws INTERNAL */
export function checkEntries(
  { labels, owners, vectors }: GraphEntries,
  dimensions: number,
  has: (label: number) => boolean,
): void {
  if (owners.length !== labels.length || vectors.length !== labels.length * dimensions) {
    throw new HarmonidError(
      'INTERNAL',
      `${labels.length} labels with ${owners.length} owners and ${vectors.length} values, a graph of ${dimensions} dimensions`,
    );
  }
  assertInvariant(allFinite(vectors), 'vectors in a graph are finite');
  assertInvariant(new Set(labels).size === labels.length, 'a label is added once');
  for (const label of labels) assertInvariant(!has(label), 'a label is added once');
}

function allFinite(values: Float32Array): boolean {
  // Only a finite number less itself is zero.
  for (let i = 0; i < values.length; i++) if ((values[i] as number) - (values[i] as number) !== 0) return false;
  return true;
}

function grown<T extends Uint32Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

/** Squared L2 in float64, given up (as infinity) once it is beyond `limit`: most templates are far away. */
function boundedDistance(probe: Float32Array, chunk: Float32Array, start: number, limit: number): number {
  const dimensions = probe.length;
  let sum = 0;
  let i = 0;
  for (; i + 32 <= dimensions; i += 32) {
    let a = 0;
    let b = 0;
    for (let j = i; j < i + 32; j += 2) {
      const d0 = (probe[j] as number) - (chunk[start + j] as number);
      const d1 = (probe[j + 1] as number) - (chunk[start + j + 1] as number);
      a += d0 * d0;
      b += d1 * d1;
    }
    sum += a + b;
    // A hair of slack, because a sum in another order may round the other way.
    if (sum > limit * (1 + 1e-12)) return Infinity;
  }
  for (; i < dimensions; i++) {
    const d = (probe[i] as number) - (chunk[start + i] as number);
    sum += d * d;
  }
  return sum;
}
