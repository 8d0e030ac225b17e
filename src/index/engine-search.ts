/**
 * Searches of an engine, in any of the threads that share it: a walk or a scan for candidates, and of those the exact vectors, from the store.
 */
import type { EngineReader } from '../engine/engine-reader.js';
import { nearestHits, type VectorOf } from './exact-hits.js';
import { ownerCount, type GraphAnswer, type GraphHit, type GraphQuery } from './graph.js';
import type { TemplateReading } from './template-source.js';

/** A filter that leaves fewer than this share of the owners is scanned: the walk would mostly meet others. */
const filteredShareMin = 0.1;

export interface SearchedEngine {
  readonly reader: EngineReader;
  /** Of the vectors. */
  readonly dimensions: number;
  /** Templates, about. */
  readonly count: number;
  /** Filters that allow half as many owners are scanned, whatever their share. */
  readonly exactMax: number;
  readonly source: TemplateReading;
}

export function searchEngine(engine: SearchedEngine, query: GraphQuery): GraphAnswer {
  const { reader, dimensions, source } = engine;
  const { probes, k, ef, allow, exclude } = query;
  const isScanned = query.exact || (allow !== undefined && allowedShare(allow, engine) < filteredShareMin);
  return source.reading((read) => {
    const hits: (readonly GraphHit[])[] = [];
    let exact = true;
    for (let start = 0; start < probes.length; start += dimensions) {
      const vector = probes.subarray(start, start + dimensions);
      // Whoever has left the store, while the change is still on its way here, takes nobody's place.
      const gone = new Set<number>();
      const vectorOf: VectorOf = ({ owner, label }) => {
        const found = read(owner, label);
        if (!found) gone.add(owner);
        return found;
      };
      for (let [wanted, known] = [k, -1]; known < gone.size; wanted = k + gone.size) {
        known = gone.size;
        const asked = { vector, k: wanted, allow, exclude };
        const walked = isScanned ? null : reader.nearest({ ...asked, width: ef });
        if (walked) exact = false;
        hits[start / dimensions] = nearestHits(walked ?? reader.scan(asked), k, vector, vectorOf);
      }
    }
    return { hits, exact };
  });
}

/** Share of owners that a set allows, as an estimate of its share of the templates; of few it is none. */
function allowedShare(allow: Uint32Array, { count, exactMax }: SearchedEngine): number {
  const owners = ownerCount(allow);
  return owners <= exactMax / 2 ? 0 : owners / Math.max(1, Math.min(allow.length * 32, count));
}
