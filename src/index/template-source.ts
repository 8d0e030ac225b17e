/**
 * The templates of one lane as the store has them: where a graph that keeps no exact vectors reads them, and what it is filled from.
 */
import { keyParts, keys, ranges, templateCodec } from './codec.js';
import type { Store, StoreReader } from './store.js';
import type { UnitVector } from '../vector.js';

export interface SourceTemplate {
  readonly label: number;
  readonly owner: number;
}

export interface TemplateSource {
  /** All of them, by owner. */
  templates(): Iterable<SourceTemplate & { readonly vector: UnitVector }>;
  /** The same without vectors. */
  labels(): Iterable<SourceTemplate>;
  /** Reads as of now, until `work` returns. */
  reading<T>(work: (vectorOf: (owner: number, label: number) => UnitVector | undefined) => T): T;
}

/** A source without templates. */
export const emptySource: TemplateSource = {
  templates: () => [],
  labels: () => [],
  reading: (work) => work(() => undefined),
};

export interface LaneTemplates {
  readonly gallery: number;
  readonly lane: number;
  readonly dimensions: number;
}

export function laneSource(store: Store, { gallery, lane, dimensions }: LaneTemplates): TemplateSource {
  const vectorIn = (reader: StoreReader, owner: number, label: number): UnitVector | undefined => {
    const key = keys.template(gallery, owner, label, lane);
    const value = reader.get('templates', key);
    return value && templateCodec.decodeVector(key, value, dimensions);
  };
  return {
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
