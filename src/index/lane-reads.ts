/**
 * Templates of both lanes side by side, and what is left of a lane that was dropped.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { checkpointCodec, keyParts, keys, ranges, templateCodec, type GalleryRecord } from './codec.js';
import type { LanePage, TwofoldTemplate } from './index-api.js';
import { servingLane } from './lanes.js';
import type { TemplateOrigin } from './records.js';
import { unhurried } from '../threads/unhurried.js';
import type { Store, StoreEntry, StoreReader } from './store.js';

/** Records that one transaction removes. */
const clearBatch = 64;

/** @param after the `next` of the page before; null for the first */
export function lanePage(
  reader: StoreReader,
  record: GalleryRecord,
  after: Uint8Array | null,
  limit: number,
): LanePage {
  const [first, end] = ranges.gallery(record.number);
  const templates: TwofoldTemplate[] = [];
  for (const template of twofoldIn(reader, record, after ?? first, end)) {
    if (templates.length === limit) {
      return { templates, next: keys.template(record.number, template.owner, template.template) };
    }
    templates.push(template);
  }
  return { templates, next: null };
}

export function twofoldTemplates(
  reader: StoreReader,
  record: GalleryRecord,
  [start, end]: readonly [Uint8Array, Uint8Array],
): readonly TwofoldTemplate[] {
  return Array.from(twofoldIn(reader, record, start, end));
}

function* twofoldIn(
  reader: StoreReader,
  record: GalleryRecord,
  start: Uint8Array,
  end: Uint8Array,
): Iterable<TwofoldTemplate> {
  const { beside } = record;
  const serving = servingLane(record);
  let current: Found | undefined;
  const finished = (): readonly TwofoldTemplate[] => {
    if (!current?.serving) return [];
    const { owner, template } = current;
    const { key, value } = current.serving;
    const { vector, origin, imageDigest, quality, enrolledAt } = templateCodec.decode(key, value, serving.dimensions);
    const other = current.beside && beside && decodeOf(current.beside, beside.dimensions);
    return [{ owner, template, vector, origin, imageDigest, quality, enrolledAt, beside: other ?? null }];
  };
  for (const entry of reader.range('templates', start, end)) {
    const { owner, template, lane } = keyParts.template(entry.key);
    if (current?.owner !== owner || current.template !== template) {
      yield* finished();
      current = { owner, template };
    }
    if (lane === serving.lane) current.serving = entry;
    else if (lane === beside?.lane) current.beside = entry;
  }
  yield* finished();
}

/** How many templates of a lane there are of each origin; gives others their turns. */
export async function originCounts(
  reader: StoreReader,
  gallery: number,
  lane: number,
): Promise<Readonly<Record<TemplateOrigin, number>>> {
  const counts: Record<TemplateOrigin, number> = { native: 0, mapped: 0, 're-embedded': 0 };
  const [first, end] = ranges.gallery(gallery);
  for (let from: Uint8Array | null = first; from;) {
    let read = 0;
    let last: Buffer | null = null;
    for (const { key, value } of reader.range('templates', from, end)) {
      last = key;
      const origin = keyParts.template(key).lane === lane ? templateCodec.originOf(value) : undefined;
      if (origin) counts[origin]++;
      if (++read === countedPerTurn) break;
    }
    from = read === countedPerTurn && last ? Buffer.concat([last, Buffer.alloc(1)]) : null;
    await nextTurn();
  }
  return counts;
}

/** Records that are counted in one turn: some milliseconds. */
const countedPerTurn = 512;

/** The records of one template. */
interface Found {
  readonly owner: number;
  readonly template: number;
  serving?: StoreEntry;
  beside?: StoreEntry;
}

function decodeOf({ key, value }: StoreEntry, dimensions: number): NonNullable<TwofoldTemplate['beside']> {
  const { vector, origin } = templateCodec.decode(key, value, dimensions);
  return { vector, origin };
}

/** Removes what stands in a lane that is no more, a little at a time, and last the mark that says so. */
export async function clearLane(store: Store, gallery: number, lane: number): Promise<void> {
  const [first, end] = ranges.gallery(gallery);
  for (let from: Uint8Array | null = first; from;) {
    const start: Uint8Array = from;
    const { value } = await unhurried(() =>
      store.write((writer) => {
        const seen: Buffer[] = [];
        for (const key of writer.keys('templates', start, end)) {
          seen.push(key);
          if (seen.length === clearBatch) break;
        }
        for (const key of seen) if (keyParts.template(key).lane === lane) writer.remove('templates', key);
        const last = seen.at(-1);
        return seen.length < clearBatch || !last ? null : Buffer.concat([last, Buffer.alloc(1)]);
      }),
    );
    from = value;
  }
  const { durable } = await store.write((writer) => {
    writer.remove('checkpoints', keys.checkpoint(gallery, lane));
    writer.remove('meta', keys.drop(gallery, lane));
  });
  await durable;
}

/** The graph file that a dropped lane's checkpoint still names. */
export function graphFileOf(reader: StoreReader, gallery: number, lane: number): string | undefined {
  const key = keys.checkpoint(gallery, lane);
  const bytes = reader.get('checkpoints', key);
  return bytes && checkpointCodec.decode(key, bytes).file?.name;
}
