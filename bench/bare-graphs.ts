/** Graphs without an index around them: our engine as the product makes it, and hnswlib-node with the usual numbers. Empty. */
import hnswlib from 'hnswlib-node';
import { EngineMemory } from '../src/engine/engine-memory.js';
import { learnQuantiser } from '../src/engine/quantiser.js';
import { modelDimensions } from './gallery-model.js';

/** M and the width of construction, of every peer that has them. */
export const [links, construction] = [16, 200] as const;

/** @param vectors that the quantiser is learned from */
export function makeEngine(vectors: readonly Float32Array[]): EngineMemory {
  return EngineMemory.create({
    dimensions: modelDimensions,
    quantiser: learnQuantiser(flat(vectors), modelDimensions),
    withFines: true,
  });
}

/** @param maxElements at a time: places of those who are deleted are given to others */
export function makeHnswlibNode(maxElements: number): hnswlib.HierarchicalNSW {
  const graph = new hnswlib.HierarchicalNSW('l2', modelDimensions);
  graph.initIndex({ maxElements, m: links, efConstruction: construction, allowReplaceDeleted: true });
  return graph;
}

export function flat(vectors: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  const dimensions = vectors[0]?.length ?? 0;
  const all = new Float32Array(vectors.length * dimensions);
  vectors.forEach((vector, i) => all.set(vector, i * dimensions));
  return all;
}
