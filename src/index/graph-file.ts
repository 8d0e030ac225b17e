/**
 * The bytes of an hnswlib 0.8 file: read from end to end before it is trusted, and cleaned of vectors that must not be kept.
 *
 * Promises: a file that passes is whole to its last byte, and every link in its bottom layer leads to an entry that is there; the vector bytes of
 * an entry that is no longer live are nowhere in it; the digest is of the bytes as they then are. It is read a piece at a
 * time, so that whoever shares the thread is held up for a few milliseconds at most. Knows no names and no folders.
 *
 * Layout, little-endian: a header of 96 bytes; then for each entry its bottom-layer links (a count in 16 bits, flags in 16 bits, ids of 32 bits),
 * its vector and its label (64 bits); then for each entry the length of its upper links in bytes (32 bits) and these links.
 */
import { createHash, type Hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';

/** What a file says of itself. */
export interface GraphFileFacts {
  readonly sha256: string;
  readonly bytes: number;
  readonly dimensions: number;
  /** Entries, removed ones included. */
  readonly count: number;
  readonly m: number;
  readonly efConstruction: number;
}

/** A file that ends before what it says it holds. */
export class CutGraphFile extends Error {}

const headerBytes = 96;
/** What is read, and hashed, at once. */
const pieceBytes = 1 << 20;

interface Layout {
  readonly count: number;
  readonly entryBytes: number;
  readonly labelOffset: number;
  readonly vectorOffset: number;
  readonly linksMax: number;
  readonly m: number;
  readonly efConstruction: number;
}

/** Which entries a file may hold with their vectors, and what takes the place of those that it may not. */
export interface GraphFileCleaning {
  readonly isLive: (label: number) => boolean;
  /** The vector of a live label. */
  readonly vectorOf: (label: number) => Float32Array;
}

/**
 * Checks a new file, and overwrites the vectors of entries whose label is not live. Such an entry stays in the graph as a signpost, and walks still go by its
 * vector: it gets one that is nobody's and lies in the same place, the mean of its live neighbours; with fewer than two of these, which would be
 * somebody's, zeros. With zeros everywhere people who were only to be reached by way of removed ones were no longer found. The caller syncs it.
 * @throws CutGraphFile, or a plain Error that says where its structure breaks
 */
export async function cleanGraphFile(handle: FileHandle, cleaning: GraphFileCleaning): Promise<GraphFileFacts> {
  const { size: bytes } = await handle.stat();
  if (bytes < headerBytes) throw new CutGraphFile(`the file has ${bytes} bytes, a header has ${headerBytes}`);
  const header = await readAt(handle, 0, headerBytes);
  const layout = parseHeader(header);
  const entriesEnd = headerBytes + layout.count * layout.entryBytes;
  if (entriesEnd > bytes) {
    throw new CutGraphFile(`the file has ${bytes} bytes, its ${layout.count} entries need ${entriesEnd}`);
  }
  const hash = createHash('sha256').update(header);
  await cleanEntries(handle, layout, { ...cleaning, labels: await readLabels(handle, layout) }, hash);
  await walkUpperLayers(handle, entriesEnd, layout.count, bytes, hash);
  const { count, m, efConstruction, labelOffset, vectorOffset } = layout;
  const dimensions = (labelOffset - vectorOffset) / 4;
  return { sha256: hash.digest('hex'), bytes, dimensions, count, m, efConstruction };
}

export async function digestFile(handle: FileHandle): Promise<string> {
  const hash = createHash('sha256');
  // Two pieces: one is read while the other is hashed.
  let [piece, spare] = [Buffer.allocUnsafe(pieceBytes), Buffer.allocUnsafe(pieceBytes)];
  let { bytesRead } = await handle.read(piece, 0, pieceBytes, 0);
  for (let position = bytesRead; bytesRead > 0; position += bytesRead) {
    const reading = handle.read(spare, 0, pieceBytes, position);
    hash.update(piece.subarray(0, bytesRead));
    ({ bytesRead } = await reading);
    [piece, spare] = [spare, piece];
  }
  return hash.digest('hex');
}

function parseHeader(header: Buffer): Layout {
  const size = (offset: number): number => Number(header.readBigUInt64LE(offset));
  const layout = {
    count: size(16),
    entryBytes: size(24),
    labelOffset: size(32),
    vectorOffset: size(40),
    linksMax: size(64),
    m: size(72),
    efConstruction: size(88),
  };
  const { entryBytes, labelOffset, vectorOffset, linksMax } = layout;
  if (vectorOffset !== linksMax * 4 + 4 || labelOffset <= vectorOffset || entryBytes !== labelOffset + 8) {
    throw new Error(
      `the header says links for ${linksMax}, a vector at ${vectorOffset}, a label at ${labelOffset}, entries of ${entryBytes} bytes`,
    );
  }
  return layout;
}

/** Reads whole entries, some at a time. */
/** With the labels of all entries, in their order. */
interface Cleaning extends GraphFileCleaning {
  readonly labels: Float64Array;
}

/** Labels have 64 bits; those of ours 32. */
async function readLabels(handle: FileHandle, layout: Layout): Promise<Float64Array> {
  const labels = new Float64Array(layout.count);
  for await (const { first, bytes } of piecesOf(handle, layout)) {
    for (let start = 0, entry = first; start < bytes.length; start += layout.entryBytes, entry++) {
      labels[entry] = Number(bytes.readBigUInt64LE(start + layout.labelOffset));
    }
  }
  return labels;
}

async function cleanEntries(handle: FileHandle, layout: Layout, cleaning: Cleaning, hash: Hash): Promise<void> {
  for await (const { first, bytes, position } of piecesOf(handle, layout)) {
    let isChanged = false;
    for (let start = 0, entry = first; start < bytes.length; start += layout.entryBytes, entry++) {
      checkLinks(bytes, start, layout, entry);
      if (cleaning.isLive(cleaning.labels[entry] as number)) continue;
      writeFiller(bytes, start, layout, cleaning);
      isChanged = true;
    }
    if (isChanged) await writeAt(handle, bytes, position);
    hash.update(bytes);
  }
}

/** Whole entries, some at a time, as views that are valid until the next ones are read. */
async function* piecesOf(
  handle: FileHandle,
  { count, entryBytes }: Layout,
): AsyncGenerator<{ readonly first: number; readonly bytes: Buffer; readonly position: number }> {
  const perPiece = Math.max(1, Math.floor(pieceBytes / entryBytes));
  const piece = Buffer.allocUnsafe(perPiece * entryBytes);
  for (let first = 0; first < count; first += perPiece) {
    const bytes = piece.subarray(0, Math.min(perPiece, count - first) * entryBytes);
    const position = headerBytes + first * entryBytes;
    await readInto(handle, bytes, position);
    yield { first, bytes, position };
  }
}

/** The mean of the live neighbours in the bottom layer, or zeros. */
function writeFiller(bytes: Buffer, start: number, { vectorOffset, labelOffset }: Layout, cleaning: Cleaning): void {
  const dimensions = (labelOffset - vectorOffset) / 4;
  const sum = new Float64Array(dimensions);
  let liveCount = 0;
  const linkCount = bytes.readUInt16LE(start);
  for (let i = 0; i < linkCount; i++) {
    const label = cleaning.labels[bytes.readUInt32LE(start + 4 + i * 4)] as number;
    if (!cleaning.isLive(label)) continue;
    const vector = cleaning.vectorOf(label);
    for (let k = 0; k < dimensions; k++) sum[k] = (sum[k] as number) + (vector[k] as number);
    liveCount++;
  }
  for (let k = 0; k < dimensions; k++) {
    bytes.writeFloatLE(liveCount < 2 ? 0 : (sum[k] as number) / liveCount, start + vectorOffset + k * 4);
  }
}

/** @throws Error when one leads nowhere: native code would follow it out of its memory */
function checkLinks(bytes: Buffer, start: number, { linksMax, count }: Layout, entry: number): void {
  const size = bytes.readUInt16LE(start);
  if (size > linksMax) throw new Error(`entry ${entry} has ${size} links, the most is ${linksMax}`);
  for (let i = 1; i <= size; i++) {
    const link = bytes.readUInt32LE(start + i * 4);
    if (link >= count) throw new Error(`a link of entry ${entry} leads to ${link}, there are ${count}`);
  }
}

/** After the entries, each has its length and so many bytes of links; the last one ends the file. */
async function walkUpperLayers(
  handle: FileHandle,
  start: number,
  count: number,
  bytes: number,
  hash: Hash,
): Promise<void> {
  const tail = await readAt(handle, start, bytes - start);
  let position = 0;
  for (let entry = 0; entry < count; entry++) {
    if (position + 4 > tail.length) throw new CutGraphFile(`the file ends within the links of entry ${entry}`);
    position += 4 + tail.readUInt32LE(position);
  }
  if (position !== tail.length) throw new Error(`the links end at byte ${start + position}, the file at ${bytes}`);
  hash.update(tail);
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  await readInto(handle, buffer, position);
  return buffer;
}

async function readInto(handle: FileHandle, buffer: Buffer, position: number): Promise<void> {
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, position);
  if (bytesRead !== buffer.length) throw new Error(`read ${bytesRead} bytes at ${position}, wanted ${buffer.length}`);
}

async function writeAt(handle: FileHandle, buffer: Buffer, position: number): Promise<void> {
  const { bytesWritten } = await handle.write(buffer, 0, buffer.length, position);
  if (bytesWritten !== buffer.length) {
    throw new Error(`wrote ${bytesWritten} bytes at ${position}, wanted ${buffer.length}`);
  }
}
