/**
 * The thread that scans files, one scan after the other. See scan-thread.ts.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { assertInvariant, HarmonidError } from '../errors.js';
import { freezeError } from '../threads/frozen-error.js';
import type { ThreadReply } from '../threads/thread-calls.js';
import { deadRanges } from './dead-ranges.js';
import { numberAt, pageHeaderBytes, type LmdbMeta } from './lmdb-meta.js';
import { walkPages } from './lmdb-pages.js';
import { findAnywhere } from './remains.js';
import type { DeadPlace, PagesScanned, ScanMessage, ScanRequest } from './scan-thread.js';

function deadPlaces(file: string, snapshots: readonly [LmdbMeta, LmdbMeta]): readonly DeadPlace[] {
  const handle = openSync(file, 'r');
  try {
    const { ranges, findings } = deadRanges(handle, snapshots);
    const [finding] = findings;
    if (finding) throw new Error(`page ${finding.page} of table ${finding.tree}: ${finding.message}`);
    const [{ transaction, pageBytes }] = snapshots;
    const places: DeadPlace[] = [];
    for (const { start, end } of ranges) {
      for (let from = start; from < end;) {
        const page = Math.floor(from / pageBytes);
        const to = Math.min(end, (page + 1) * pageBytes);
        const place = placeIn(handle, { page, from, to, pageBytes, transaction });
        if (place) places.push(place);
        from = to;
      }
    }
    return places;
  } finally {
    closeSync(handle);
  }
}

interface PagePart {
  readonly page: number;
  readonly from: number;
  readonly to: number;
  readonly pageBytes: number;
  /** The newest of the two snapshots: a page that was written later is in use. */
  readonly transaction: bigint;
}

/** Undefined when it is zero already. The header of a whole page stays, as what tells that the page was not written since. */
function placeIn(handle: number, { page, from, to, pageBytes, transaction }: PagePart): DeadPlace | undefined {
  const position = page * pageBytes;
  const bytes = Buffer.alloc(Math.min(pageBytes, to - position));
  const length = readSync(handle, bytes, 0, bytes.length, position);
  const header = bytes.subarray(0, pageHeaderBytes);
  const isOwn = length >= pageHeaderBytes && numberAt(header, 0) === page && header.readBigUInt64LE(8) <= transaction;
  const start = isOwn ? Math.max(from, position + pageHeaderBytes) : from;
  if (bytes.subarray(start - position, length).every((byte) => byte === 0)) return undefined;
  return { position: start, length: position + length - start, page: isOwn ? { position, header } : null };
}

function pages(file: string): PagesScanned {
  const { findings, newest } = walkPages(file, { reads: 'leaves', snapshots: 'newest' });
  return { transaction: newest?.transaction ?? null, findings };
}

function answer(request: ScanRequest): unknown {
  switch (request.kind) {
    case 'dead':
      return deadPlaces(request.file, request.snapshots);
    case 'anywhere':
      return findAnywhere(request.files, request.needles).length;
    case 'pages':
      return pages(request.file);
  }
}

assertInvariant(parentPort, 'the scan worker runs in a thread');
const port = parentPort;
port.on('message', ({ id, request }: ScanMessage) => {
  let reply: ThreadReply;
  try {
    reply = { id, answer: answer(request) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    reply = { id, error: freezeError(new HarmonidError('INTERNAL', message, { cause: error })) };
  }
  port.postMessage(reply);
});
