/** Average linkage against the definition: mean of all pairwise distances, recomputed from scratch at every step. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { clusterByIdentity } from '../../src/evaluate/clustering.js';
import { parseVector, squaredDistance, type UnitVector } from '../../src/vector.js';

function unit(degrees: number): UnitVector {
  const radians = (degrees * Math.PI) / 180;
  return parseVector([Math.cos(radians), Math.sin(radians)], 2, 'the plane');
}

/** The same by brute force. */
function bruteForce(vectors: readonly UnitVector[], cut: number): number[][] {
  let clusters = vectors.map((_, i) => [i]);
  for (;;) {
    let best: { a: number[]; b: number[]; mean: number } | undefined;
    for (const a of clusters) {
      for (const b of clusters) {
        if (a === b || (a[0] ?? 0) > (b[0] ?? 0)) continue;
        const pairs = a.flatMap((i) =>
          b.map((j) => squaredDistance(vectors[i] as UnitVector, vectors[j] as UnitVector)),
        );
        const mean = pairs.reduce((sum, distance) => sum + distance, 0) / pairs.length;
        if (!best || mean < best.mean) best = { a, b, mean };
      }
    }
    if (!best || best.mean > cut) return clusters;
    const { a, b } = best;
    clusters = [
      ...clusters.filter((cluster) => cluster !== a && cluster !== b),
      [...a, ...b].toSorted((x, y) => x - y),
    ];
  }
}

describe('clustering', () => {
  it('agrees with brute force on seeded angles at several cuts', () => {
    let state = 7;
    const random = (): number => (state = (state * 48271) % 0x7fffffff) / 0x7fffffff;
    const vectors = Array.from({ length: 24 }, () => unit(random() * 360));
    for (const cut of [0.01, 0.1, 0.5, 2]) {
      const expected = bruteForce(vectors, cut)
        .map((cluster) => cluster.join())
        .toSorted();
      assert.deepEqual(
        clusterByIdentity(vectors, { cut })
          .map((cluster) => cluster.join())
          .toSorted(),
        expected,
      );
    }
  });

  it('keeps apart what cannot be the same person', () => {
    const vectors = [unit(0), unit(1), unit(2)];
    assert.deepEqual(clusterByIdentity(vectors, { cut: 1 }), [[0, 1, 2]]);
    const apart = (i: number, j: number): boolean => Math.min(i, j) === 0 && Math.max(i, j) === 1;
    assert.deepEqual(clusterByIdentity(vectors, { cut: 1, apart }), [[1, 2], [0]]);
  });

  it('of nothing is nothing', () => {
    assert.deepEqual(clusterByIdentity([], { cut: 1 }), []);
  });
});
