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

/**
 * Checks a new file, and overwrites with zeros the vectors of entries whose label is not live. Such an entry stays as a signpost that lies far from
 * everybody; with 15 % of them the recall of a walk is the same to a tenth of a point. The caller syncs the file.
 * @throws a plain Error that says where its structure breaks
 */
export async function cleanGraphFile(handle: FileHandle, isLive: (label: number) => boolean): Promise<GraphFileFacts> {
  const { size: bytes } = await handle.stat();
  if (bytes < headerBytes) throw new Error(`the file has ${bytes} bytes, a header has ${headerBytes}`);
  const header = await readAt(handle, 0, headerBytes);
  const layout = parseHeader(header);
  const entriesEnd = headerBytes + layout.count * layout.entryBytes;
  if (entriesEnd > bytes) {
    throw new Error(`the file has ${bytes} bytes, its ${layout.count} entries need ${entriesEnd}`);
  }
  const hash = createHash('sha256').update(header);
  await cleanEntries(handle, layout, isLive, hash);
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
async function cleanEntries(
  handle: FileHandle,
  layout: Layout,
  isLive: (label: number) => boolean,
  hash: Hash,
): Promise<void> {
  const { count, entryBytes, labelOffset, vectorOffset } = layout;
  const perPiece = Math.max(1, Math.floor(pieceBytes / entryBytes));
  const piece = Buffer.allocUnsafe(perPiece * entryBytes);
  for (let first = 0; first < count; first += perPiece) {
    const bytes = piece.subarray(0, Math.min(perPiece, count - first) * entryBytes);
    const position = headerBytes + first * entryBytes;
    await readInto(handle, bytes, position);
    let isChanged = false;
    for (let start = 0, entry = first; start < bytes.length; start += entryBytes, entry++) {
      checkLinks(bytes, start, layout, entry);
      if (bytes.readUInt32LE(start + labelOffset + 4) === 0 && isLive(bytes.readUInt32LE(start + labelOffset)))
        continue;
      bytes.fill(0, start + vectorOffset, start + labelOffset);
      isChanged = true;
    }
    if (isChanged) await writeAt(handle, bytes, position);
    hash.update(bytes);
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
    if (position + 4 > tail.length) throw new Error(`the file ends within the links of entry ${entry}`);
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
