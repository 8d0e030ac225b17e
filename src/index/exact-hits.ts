/** Hits with distances as `squaredDistance` gives them, so that every way to a hit tells the same number. */
import { NearestOwners, type OwnerHit } from '../engine/nearest-owners.js';
import { squaredDistance } from '../vector.js';
import type { GraphHit } from './graph.js';

/** The exact vector of a template; undefined when it is gone. */
export type VectorOf = (hit: OwnerHit) => Float32Array | undefined;

/** Nearest first; whoever is gone is left out. */
export function exactHits(hits: readonly OwnerHit[], probe: Float32Array, vectorOf: VectorOf): readonly GraphHit[] {
  return hits
    .flatMap((hit) => {
      const vector = vectorOf(hit);
      return vector ? [{ ...hit, distance: squaredDistance(probe, vector) }] : [];
    })
    .toSorted((a, b) => a.distance - b.distance || a.owner - b.owner);
}

/** Of candidates with approximate distances, the k nearest owners. */
export function nearestHits(
  candidates: readonly OwnerHit[],
  k: number,
  probe: Float32Array,
  vectorOf: VectorOf,
): readonly GraphHit[] {
  const nearest = new NearestOwners(k);
  for (const hit of exactHits(candidates, probe, vectorOf)) nearest.offer(hit.owner, hit.label, hit.distance);
  return nearest.hits;
}
