/**
 * The templates of one lane as the store has them: where a graph that keeps no exact vectors reads them, and what it is filled from.
 */
import { changeCodec, keyParts, keys, ranges, templateCodec } from './codec.js';
import type { GraphEntries } from './graph.js';
import type { Store, StoreReader } from './store.js';
import type { UnitVector } from '../vector.js';

export interface SourceTemplate {
  readonly label: number;
  readonly owner: number;
}

export interface SourceChange {
  readonly owner: number | null;
  readonly added: readonly number[];
  readonly removed: readonly number[];
}

/** Exact vectors, for whoever needs nothing else. */
export interface TemplateReading {
  /** Reads as of now, until `work` returns. */
  reading<T>(work: (vectorOf: (owner: number, label: number) => UnitVector | undefined) => T): T;
}

export interface TemplateSource extends TemplateReading {
  /** How many there should be. */
  readonly count: number;
  /** What has come and gone since a change of the gallery; undefined when that is not known any more. Templates that were given vectors beside are not in it. */
  changedSince(sequence: number): readonly SourceChange[] | undefined;
  /** All of them, by owner. */
  templates(): Iterable<SourceTemplate & { readonly vector: UnitVector }>;
  /** The same without vectors. */
  labels(): Iterable<SourceTemplate>;
}

/** A source without templates. */
export const emptySource: TemplateSource = {
  count: 0,
  changedSince: () => undefined,
  templates: () => [],
  labels: () => [],
  reading: (work) => work(() => undefined),
};

const batchTemplates = 1024;

/** All templates, many at a time. @param dimensions of their vectors */
export function* entriesIn(source: TemplateSource, dimensions: number): Generator<GraphEntries, void, undefined> {
  let [labels, owners, rows]: [number[], number[], UnitVector[]] = [[], [], []];
  const taken = (): GraphEntries => {
    const vectors = new Float32Array(rows.length * dimensions);
    rows.forEach((row, i) => vectors.set(row, i * dimensions));
    const entries = { labels: Uint32Array.from(labels), owners: Uint32Array.from(owners), vectors };
    [labels, owners, rows] = [[], [], []];
    return entries;
  };
  for (const { label, owner, vector } of source.templates()) {
    labels.push(label);
    owners.push(owner);
    rows.push(vector);
    if (labels.length === batchTemplates) yield taken();
  }
  yield taken();
}

/** Where the templates of a lane are. */
export interface LanePlace {
  readonly gallery: number;
  readonly lane: number;
  readonly dimensions: number;
}

export interface LaneTemplates extends LanePlace {
  readonly templateCount: number;
  /** Number of the gallery's last change. */
  readonly sequence: number;
}

export function laneReading(store: Store, { gallery, lane, dimensions }: LanePlace): TemplateReading {
  const vectorIn = (reader: StoreReader, owner: number, label: number): UnitVector | undefined => {
    const key = keys.template(gallery, owner, label, lane);
    const value = reader.get('templates', key);
    return value && templateCodec.decodeVector(key, value, dimensions);
  };
  return {
    reading(work) {
      const snapshot = store.snapshot();
      try {
        return work((owner, label) => vectorIn(snapshot, owner, label));
      } finally {
        snapshot.release();
      }
    },
  };
}

export function laneSource(store: Store, templates: LaneTemplates): TemplateSource {
  const { gallery, lane, dimensions, templateCount, sequence } = templates;
  return {
    ...laneReading(store, templates),
    count: templateCount,
    changedSince(since) {
      const [, end] = ranges.gallery(gallery);
      const changes: SourceChange[] = [];
      for (const { key, value } of store.range('changes', keys.change(gallery, since + 1), end)) {
        const change = keyParts.change(key);
        if (change > sequence) break;
        if (change !== since + changes.length + 1) return undefined;
        changes.push(changeCodec.decode(key, value));
      }
      return since + changes.length === sequence ? changes : undefined;
    },
    *templates() {
      for (const { key, value } of store.range('templates', ...ranges.gallery(gallery))) {
        const { owner, template, lane: own } = keyParts.template(key);
        if (own !== lane) continue;
        yield { label: template, owner, vector: templateCodec.decodeVector(key, value, dimensions) };
      }
    },
    *labels() {
      for (const key of store.keys('templates', ...ranges.gallery(gallery))) {
        const { owner, template, lane: own } = keyParts.template(key);
        if (own === lane) yield { label: template, owner };
      }
    },
  };
}
