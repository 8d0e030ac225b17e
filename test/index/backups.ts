/** Backups as bytes: whole streams, cut or altered ones, and the parts that they consist of (read by the page of the format, not by the code). */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

export async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The bytes as a source that comes in pieces. */
export async function* streamOf(bytes: Uint8Array, pieceBytes = 64 * 1024): AsyncGenerator<Uint8Array, void, void> {
  for (let start = 0; start < bytes.length; start += pieceBytes) yield bytes.subarray(start, start + pieceBytes);
}

export interface Part {
  readonly kind: number;
  readonly start: number;
  readonly end: number;
  readonly payload: Buffer;
}

export const preambleBytes = 16;

export function partsOf(backup: Buffer): Part[] {
  const parts: Part[] = [];
  for (let start = preambleBytes; start < backup.length;) {
    const end = start + 16 + backup.readUInt32LE(start + 4);
    parts.push({ kind: backup.readUInt32LE(start), start, end, payload: backup.subarray(start + 16, end) });
    start = end;
  }
  assert.equal(parts.at(-1)?.end, backup.length);
  return parts;
}

export function preamble(version: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.write('HDBACKUP');
  bytes.writeUInt32LE(version, 8);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 12)), 12);
  return bytes;
}

/** A part with sound checksums at its place. */
export function part(kind: number, start: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(16);
  head.writeUInt32LE(kind, 0);
  head.writeUInt32LE(payload.length, 4);
  head.writeUInt32LE(crc32(payload), 8);
  const place = Buffer.alloc(8);
  place.writeUInt32LE(start, 0);
  head.writeUInt32LE(crc32(Buffer.concat([place, head.subarray(0, 12)])), 12);
  return Buffer.concat([head, payload]);
}

/** A backup whose checksums all agree, whatever it says. */
export function forge(payloads: readonly { readonly kind: number; readonly payload: Buffer }[]): Buffer {
  return payloads.reduce(
    (backup, { kind, payload }) => Buffer.concat([backup, part(kind, backup.length, payload)]),
    preamble(1),
  );
}

export function json(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
