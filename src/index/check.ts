/**
 * The check of a data directory's records: every one is read, and compared with those that it must agree with.
 *
 * Promises: it only reads, from one snapshot, and gives the event loop its turns, so that a live server goes on; what can be told is told,
 * whatever else is damaged; a directory to which nothing happened but this version's own writes has no findings, also when these were cut short
 * by the death of the process. What is checked is in docs/FORMAT.md. Pages, graphs and searches are looked at elsewhere
 * (check-directory.ts, check-searches.ts).
 */
import { readdir } from 'node:fs/promises';
import { checkGallery } from './check-gallery.js';
import { checkFormat, checkMeta } from './check-meta.js';
import type { CheckedGallery } from './check-tally.js';
import { CheckView, isReadable, lastKey, readRecord, type CheckQuestion } from './check-view.js';
import { graphsFolder, quarantineMark } from './checkpoint.js';
import {
  chainCodec,
  changeCodec,
  checkpointCodec,
  galleryCodec,
  galleryTables,
  keyParts,
  keys,
  quarantinedCodec,
  ranges,
  receiptCodec,
  suppressionCodec,
  templateCodec,
  type GalleryRecord,
} from './codec.js';
import { brokenLinks } from './erasure-receipt.js';
import { damage, placeOf, type CheckCounts, type Damage, type Mend } from './findings.js';
import { loadingMark } from './load-guard.js';
import type { StoreEntry } from './store.js';

type Findings = AsyncGenerator<Damage, void, void>;

export async function* checkRecords(question: CheckQuestion): AsyncGenerator<Damage, CheckCounts, void> {
  const view = new CheckView(question);
  const format = yield* checkMeta(view);
  const { galleries, lost } = yield* checkGalleryRecords(view);
  for (const gallery of galleries) yield* checkGallery(view, gallery);
  const numbers = galleries.map(({ record }) => record.number);
  const orphans = await orphanNumbers(view, new Set(numbers));
  yield* checkOrphans(view, lost, orphans);
  yield* checkFormat(view, format, Math.max(0, ...numbers, ...orphans));
  yield* checkReceipts(view);
  yield* checkQuarantine(view);
  if (!view.live) yield* checkStrayFiles(view);
  return view.counts;
}

// ── Galleries ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A gallery whose record cannot be read. */
interface LostGallery {
  readonly name: string;
  readonly key: Buffer;
  readonly message: string;
}

interface GalleryRecords {
  readonly galleries: readonly CheckedGallery[];
  readonly lost: readonly LostGallery[];
}

async function* checkGalleryRecords(view: CheckView): AsyncGenerator<Damage, GalleryRecords, void> {
  const galleries: CheckedGallery[] = [];
  const lost: LostGallery[] = [];
  for await (const { key, value } of view.all('galleries')) {
    const read = readRecord(() => galleryCodec.decode(key, value), { table: 'galleries', key });
    const name = keyParts.galleryName(key);
    if (read.problem) {
      lost.push({ name, key, message: read.problem.message });
      continue;
    }
    const record = read.value;
    const twin = galleries.find((other) => other.record.number === record.number);
    if (twin) {
      const message = `galleries "${twin.name}" and "${name}" both have number ${record.number}`;
      yield damage({ kind: 'gallery', where: placeOf('galleries', key), message });
    } else galleries.push({ name, record });
  }
  return { galleries, lost };
}

/** Numbers of galleries under which something stands and which no gallery has, unless it is being removed. */
async function orphanNumbers({ reader }: CheckView, known: ReadonlySet<number>): Promise<readonly number[]> {
  const found = new Set<number>();
  const expected = new Set([
    ...known,
    ...Array.from(reader.keys('meta', ...ranges.purges()), (key) => keyParts.purge(key)),
  ]);
  for (const table of galleryTables) {
    for (let from: Buffer | null = Buffer.alloc(1); from;) {
      const [key] = first(reader.keys(table, from, lastKey));
      if (!key) break;
      const number: number = key.length < 4 ? 0 : key.readUInt32BE(0);
      if (!expected.has(number)) found.add(number);
      from = number >= 0xffff_fffe ? null : ranges.gallery(number)[1];
    }
  }
  return [...found];
}

function first<T>(values: Iterable<T>): readonly T[] {
  for (const value of values) return [value];
  return [];
}

/** A gallery is rebuilt from what stands under its number, when it can only be that one. */
function* checkOrphans(
  view: CheckView,
  lost: readonly LostGallery[],
  orphans: readonly number[],
): Generator<Damage, void, void> {
  const [number] = orphans;
  const isCertain = lost.length === 1 && orphans.length === 1 && number !== undefined;
  for (const { name, key, message } of lost) {
    const rebuilt = isCertain ? rebuiltGallery(view, number) : undefined;
    const value = rebuilt && galleryCodec.encode(key, rebuilt);
    const mend: Mend = value
      ? { kind: 'replace', table: 'galleries', key, value }
      : orphans.length === 0
        ? { kind: 'quarantine', table: 'galleries', key }
        : { kind: 'none' };
    const settings = value ? '; its settings are lost, and it will match nobody until its threshold is set again' : '';
    yield damage({
      kind: 'gallery',
      where: placeOf('galleries', key),
      message: `gallery "${name}": ${message}${settings}`,
      mend,
    });
  }
  for (const orphan of orphans) {
    const message = `there are records of gallery number ${orphan}, and ${
      lost.length === 0 ? 'no gallery has it' : 'the gallery that had it cannot be read'
    }`;
    const mend: Mend = lost.length === 0 ? { kind: 'quarantine-gallery', number: orphan } : { kind: 'none' };
    if (!isCertain) yield damage({ kind: 'orphan', where: `gallery number ${orphan}`, message, mend });
  }
}

/** With settings that harm nobody: what they were is not known. Its counters are for the next look. Undefined without a template. */
function rebuiltGallery(view: CheckView, number: number): GalleryRecord | undefined {
  for (const entry of view.reader.range('templates', ...ranges.gallery(number))) {
    const about = templateFacts(view, entry);
    if (!about) continue;
    return {
      number,
      ...about,
      // The smallest there is.
      threshold: Number.MIN_VALUE,
      thresholdSource: 'lost with the gallery, set it again',
      margin: 0,
      duplicates: 'refuse',
      refuseReasons: [],
      templatesPerIdentityMax: 1000,
      description: '',
      identityCount: 0,
      templateCount: 0,
      sequence: sequenceOf(view, number),
      nextOwner: 0,
      nextTemplate: 1,
      createdAt: 0,
    };
  }
  return undefined;
}

function templateFacts(view: CheckView, entry: StoreEntry): { space: string; dimensions: number } | undefined {
  try {
    const bytes = view.open('templates', entry);
    const dimensions = bytes && templateCodec.dimensionsOf(bytes);
    if (!bytes || dimensions === undefined) return undefined;
    return { space: templateCodec.decode(entry.key, bytes, dimensions).space, dimensions };
  } catch {
    return undefined;
  }
}

function sequenceOf({ reader }: CheckView, number: number): number {
  let sequence = 0;
  for (const { key, value } of reader.range('changes', ...ranges.gallery(number))) {
    if (isReadable(() => changeCodec.decode(key, value))) sequence = key.readUIntBE(4, 6);
  }
  const key = keys.checkpoint(number);
  const checkpoint = reader.get('checkpoints', key);
  if (!checkpoint || !isReadable(() => checkpointCodec.decode(key, checkpoint))) return sequence;
  return Math.max(sequence, checkpointCodec.decode(key, checkpoint).sequence);
}

// ── Erasures ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Nothing of it is mended: receipts prove something only as long as nobody writes them anew. */
async function* checkReceipts(view: CheckView): Findings {
  const { reader } = view;
  const numbers = new Set<number>();
  let isReadableChain = true;
  for await (const { key, value } of view.all('receipts')) {
    const read = readRecord(() => receiptCodec.decode(key, value), { table: 'receipts', key });
    if (key.length === 6) numbers.add(keyParts.receipt(key));
    if (!read.problem) continue;
    isReadableChain = false;
    const { where, message } = read.problem;
    yield damage({ kind: 'record', where, message });
  }
  const chain = reader.get('meta', keys.chain());
  if (chain && !isReadable(() => chainCodec.decode(keys.chain(), chain))) isReadableChain = false;
  if (isReadableChain) {
    for (const { number, reason } of brokenLinks(reader)) {
      yield damage({ kind: 'receipt-chain', where: `receipts ${number}`, message: reason });
    }
  }
  for await (const { key, value } of view.all('suppressions')) {
    const read = readRecord(() => suppressionCodec.decode(key, value), { table: 'suppressions', key });
    if (read.problem) {
      const { where, message } = read.problem;
      yield damage({ kind: 'record', where, message });
    } else if (!numbers.has(read.value.receipt)) {
      const message = `it names receipt ${read.value.receipt}, which is not there`;
      yield damage({ kind: 'suppression', where: placeOf('suppressions', key), message });
    }
  }
}

async function* checkQuarantine(view: CheckView): Findings {
  for await (const { key, value } of view.all('quarantine')) {
    const read = readRecord(() => quarantinedCodec.decode(key, value), { table: 'quarantine', key });
    if (!read.problem) continue;
    const { kind, where, message } = read.problem;
    yield damage({ severity: 'warning', kind, where, message });
  }
}

// ── Files ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** They go with the next opening; on a live directory they may be files that are just being written. */
async function* checkStrayFiles({ path, reader }: CheckView): Findings {
  const named = new Set<string>();
  for (const { key, value } of reader.range('checkpoints', Buffer.alloc(1), lastKey)) {
    const name = isReadable(() => checkpointCodec.decode(key, value)) && checkpointCodec.decode(key, value).file?.name;
    if (name) named.add(name).add(`${name}${loadingMark}`);
  }
  for (const name of await readdir(graphsFolder(path)).catch(() => [])) {
    if (named.has(name) || name.startsWith(quarantineMark)) continue;
    const message = 'no checkpoint names this file; it is removed at the next opening';
    yield damage({ severity: 'warning', kind: 'stray-file', where: `graphs/${name}`, message });
  }
}
