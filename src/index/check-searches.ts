/**
 * The check of an open index's searches: everybody is found by each of their own vectors.
 *
 * A probe is a stored vector, searched as any other with the default width. What is at distance 0 is that template or an equal one. What only
 * comparing with every template finds, the graph has lost; what that does not find either is not in memory at all.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { throwIfAborted } from '../errors.js';
import { keyParts, keys, ranges, templateCodec, type GalleryRecord } from './codec.js';
import type { GraphHit } from './graph.js';
import { damage, placeOf, type Damage } from './findings.js';
import type { StoreEntry, StoreReader } from './store.js';

/** One list of hits a probe, as of a `GraphQuery`. */
export type Search = (
  probes: Float32Array,
  how: { readonly exact: boolean },
) => Promise<readonly (readonly GraphHit[])[]>;

export interface SearchesQuestion {
  readonly name: string;
  readonly record: GalleryRecord;
  readonly search: Search;
  /** A snapshot, opened where it is sealed. */
  readonly reader: StoreReader;
  /** The store as it is now. */
  readonly live: StoreReader;
  readonly signal?: AbortSignal | undefined;
}

/** Probes of one query: larger crosses to the graph's thread less often and holds up other searches for longer. */
const probesPerQuery = 32;

/** @returns how many templates were searched for */
export async function* checkSearches(question: SearchesQuestion): AsyncGenerator<Damage, number, void> {
  const { reader, record, signal } = question;
  let count = 0;
  const [start, end] = ranges.gallery(record.number);
  for (let from = start; ;) {
    throwIfAborted(signal);
    const some: StoreEntry[] = [];
    for (const entry of reader.range('templates', from, end)) {
      some.push(entry);
      if (some.length === probesPerQuery) break;
    }
    const last = some.at(-1);
    if (!last) return count;
    count += some.length;
    for (const entry of await missed(question, some, { exact: false })) yield* judge(question, entry);
    from = Buffer.concat([last.key, Buffer.alloc(1)]);
    await nextTurn();
  }
}

async function* judge(question: SearchesQuestion, entry: StoreEntry): AsyncGenerator<Damage, void, void> {
  const { name, record, live } = question;
  const { owner, template } = keyParts.template(entry.key);
  // Whoever was removed meanwhile is rightly not found.
  const isThere = (): boolean => live.get('templates', keys.template(record.number, owner, template)) !== undefined;
  if (!isThere()) return;
  const isMissed = (await missed(question, [entry], { exact: true })).length > 0;
  if (!isThere()) return;
  const where = placeOf('templates', entry.key);
  const who = `gallery "${name}": template ${template} of owner ${owner}`;
  yield isMissed
    ? damage({
        kind: 'unsearchable',
        where,
        message: `${who} is in the store and in no search: restart, which reads the store anew`,
        gallery: record.number,
      })
    : damage({
        severity: 'warning',
        kind: 'graph-miss',
        where,
        message: `${who} is found by comparing with every template, and missed by the graph, which a rebuild mends`,
        gallery: record.number,
      });
}

async function missed(
  { record, search }: SearchesQuestion,
  entries: readonly StoreEntry[],
  how: { readonly exact: boolean },
): Promise<readonly StoreEntry[]> {
  const { dimensions } = record;
  const probes = new Float32Array(entries.length * dimensions);
  entries.forEach(({ key, value }, i) =>
    probes.set(templateCodec.decodeVector(key, value, dimensions), i * dimensions),
  );
  const hits = await search(probes, how);
  return entries.filter((_, i) => hits[i]?.[0]?.distance !== 0);
}
