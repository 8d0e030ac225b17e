/**
 * The check of an open index's searches: everybody is found by each of their own vectors.
 *
 * A probe is a stored vector, searched as any other with the default width. What is at distance 0 is that template or an equal one. What only
 * comparing with every template finds, the graph has lost; what that does not find either is not in memory at all.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { throwIfAborted } from '../errors.js';
import { keyParts, ranges, templateCodec } from './codec.js';
import type { GraphHit } from './graph.js';
import { damage, placeOf, type Damage } from './findings.js';
import type { LaneKey } from './lanes.js';
import type { StoreEntry, StoreReader } from './store.js';

/** One list of hits a probe, as of a `GraphQuery`. */
export type Search = (
  probes: Float32Array,
  how: { readonly exact: boolean },
) => Promise<readonly (readonly GraphHit[])[]>;

export interface SearchesQuestion {
  readonly name: string;
  readonly lane: LaneKey;
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
  const { reader, lane, signal } = question;
  let count = 0;
  const [start, end] = ranges.gallery(lane.number);
  for (let from = start; ;) {
    throwIfAborted(signal);
    const some: StoreEntry[] = [];
    let last: Buffer | undefined;
    for (const entry of reader.range('templates', from, end)) {
      last = entry.key;
      if (keyParts.template(entry.key).lane === (lane.lane ?? 0)) some.push(entry);
      if (some.length === probesPerQuery) break;
    }
    if (!last) return count;
    count += some.length;
    if (some.length > 0) {
      for (const entry of await missed(question, some, { exact: false })) yield* judge(question, entry);
    }
    from = Buffer.concat([last, Buffer.alloc(1)]);
    await nextTurn();
  }
}

async function* judge(question: SearchesQuestion, entry: StoreEntry): AsyncGenerator<Damage, void, void> {
  const { name, lane, live } = question;
  const { owner, template } = keyParts.template(entry.key);
  // Whoever was removed meanwhile is rightly not found.
  const isThere = (): boolean => live.get('templates', entry.key) !== undefined;
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
        gallery: lane.number,
      })
    : damage({
        severity: 'warning',
        kind: 'graph-miss',
        where,
        message: `${who} is found by comparing with every template, and missed by the graph, which a rebuild mends`,
        gallery: lane.number,
      });
}

async function missed(
  { lane, search }: SearchesQuestion,
  entries: readonly StoreEntry[],
  how: { readonly exact: boolean },
): Promise<readonly StoreEntry[]> {
  const { dimensions } = lane;
  const probes = new Float32Array(entries.length * dimensions);
  entries.forEach(({ key, value }, i) =>
    probes.set(templateCodec.decodeVector(key, value, dimensions), i * dimensions),
  );
  const hits = await search(probes, how);
  return entries.filter((_, i) => hits[i]?.[0]?.distance !== 0);
}
