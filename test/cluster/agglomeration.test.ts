/**
 * Clusters against the definition: at every step the distance of every two clusters is recomputed from all pairs of members, and the nearest two are
 * merged, equal distances by position. Vectors are seeded or on a grid of angles on which many distances are equal.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { clusterByIdentity, linkages, type Linkage } from '../../src/cluster/agglomeration.js';
import { clusterByNeighbours } from '../../src/cluster/graph-agglomeration.js';
import { componentsWithin, exactNeighbours } from '../../src/cluster/neighbour-lists.js';
import { makeRandom } from '../../src/random.js';
import { parseVector, squaredDistance, type UnitVector } from '../../src/vector.js';

function unit(degrees: number): UnitVector {
  const radians = (degrees * Math.PI) / 180;
  return parseVector([Math.cos(radians), Math.sin(radians)], 2, 'the plane');
}

/** Faces of some people: each near a direction of its own, several of one photo. */
function faces(seed: number, count: number): { vectors: UnitVector[]; photos: number[] } {
  const random = makeRandom(seed);
  const centres = Array.from({ length: Math.ceil(count / 6) }, () => Array.from({ length: 8 }, () => random.normal()));
  const vectors = Array.from({ length: count }, () => {
    const centre = centres[random.below(centres.length)] ?? [];
    return parseVector(
      centre.map((value) => value + 0.5 * random.normal()),
      8,
      'the test',
    );
  });
  return { vectors, photos: vectors.map(() => random.below(Math.ceil(count / 3))) };
}

/** The definition. */
function naive(
  vectors: readonly UnitVector[],
  cut: number,
  linkage: Linkage,
  photos: readonly number[] | undefined,
): readonly (readonly number[])[] {
  const distance = (i: number, j: number): number =>
    photos && photos[i] === photos[j] ? Infinity : squaredDistance(vectors[i] as UnitVector, vectors[j] as UnitVector);
  const between = (a: readonly number[], b: readonly number[]): number => {
    const pairs = a.flatMap((i) => b.map((j) => distance(i, j)));
    if (pairs.includes(Infinity)) return Infinity;
    if (linkage === 'complete') return Math.max(...pairs);
    if (linkage === 'single') return Math.min(...pairs);
    return pairs.reduce((sum, value) => sum + value, 0) / pairs.length;
  };
  let clusters = vectors.map((_, i) => [i]);
  for (;;) {
    let nearest: { a: number[]; b: number[]; distance: number } | undefined;
    // Clusters stand in the order of their first faces, so that the first of several equal ones is the one by position.
    clusters.forEach((a, i) =>
      clusters.slice(i + 1).forEach((b) => {
        const found = between(a, b);
        if (!nearest || found < nearest.distance) nearest = { a, b, distance: found };
      }),
    );
    if (!nearest || nearest.distance > cut) break;
    const { a, b } = nearest;
    clusters = clusters.flatMap((one) =>
      one === b ? [] : one === a ? [[...a, ...b].toSorted((x, y) => x - y)] : [one],
    );
  }
  return clusters.toSorted((a, b) => b.length - a.length || (a[0] ?? 0) - (b[0] ?? 0));
}

describe('clustering', () => {
  for (const linkage of linkages) {
    it(`by ${linkage} linkage agrees with the definition, with and without photos`, () => {
      let severalCount = 0;
      for (const seed of [1, 2, 3]) {
        const { vectors, photos } = faces(seed, 48);
        for (const cut of [0.1, 0.3, 0.6, 1, 1.6]) {
          for (const given of [undefined, photos]) {
            const expected = naive(vectors, cut, linkage, given);
            const options = { cut, linkage, photos: given };
            assert.deepEqual(clusterByIdentity(vectors, options), expected, `seed ${seed}, cut ${cut}`);
            const lists = exactNeighbours(vectors, vectors.length - 1);
            // With whole lists the graph gives the same, whether its components are clustered exactly or not.
            for (const exactMax of [0, 20])
              assert.deepEqual(clusterByNeighbours(vectors, lists, { ...options, exactMax }), expected);
            if (expected.length > 1 && expected.length < vectors.length) severalCount++;
          }
        }
      }
      assert.ok(severalCount > 15, `only ${severalCount} of 30 comparisons were about something`);
    });
  }

  it('takes equal distances by position', () => {
    // The corners of a cube in four dimensions: distances are whole numbers, most of them equal, and nothing is rounded.
    const corners = Array.from({ length: 16 }, (_, i) =>
      parseVector(
        [0, 1, 2, 3].map((bit) => ((i >> bit) & 1) - 0.5),
        4,
        'the test',
      ),
    );
    const photos = corners.map((_, i) => (i < 2 ? 0 : i));
    for (const linkage of ['average', 'complete'] as const) {
      for (const given of [undefined, photos]) {
        for (const cut of [1, 1.5, 2]) {
          const options = { cut, linkage, photos: given };
          assert.deepEqual(
            clusterByIdentity(corners, options),
            naive(corners, cut, linkage, given),
            `${linkage} ${cut}`,
          );
        }
      }
    }
  });

  it('keeps two faces of one photo apart', () => {
    const vectors = [unit(0), unit(1), unit(2)];
    for (const linkage of linkages) {
      assert.deepEqual(clusterByIdentity(vectors, { cut: 1, linkage }), [[0, 1, 2]]);
      assert.deepEqual(clusterByIdentity(vectors, { cut: 1, linkage, photos: [7, 7, 8] }), [[1, 2], [0]]);
    }
  });

  it('of nothing is nothing', () => {
    assert.deepEqual(clusterByIdentity([], { cut: 1 }), []);
    assert.deepEqual(clusterByNeighbours([], exactNeighbours([], 3), { cut: 1 }), []);
  });
});

describe('neighbour lists', () => {
  it('hold the k nearest, nearest first, and nobody where there are fewer', () => {
    const { positions, distances } = exactNeighbours([unit(0), unit(10), unit(30), unit(90)], 2);
    assert.deepEqual([...positions], [1, 2, 0, 2, 1, 0, 2, 1]);
    assert.ok(Math.abs((distances[0] ?? 0) - (2 - 2 * Math.cos((10 * Math.PI) / 180))) < 1e-6);
    assert.deepEqual([...exactNeighbours([unit(0), unit(10)], 3).distances].slice(1, 3), [Infinity, Infinity]);
  });

  it('connect components within the cut', () => {
    const lists = exactNeighbours([unit(0), unit(90), unit(10), unit(100), unit(20), unit(200)], 5);
    assert.deepEqual(componentsWithin(lists, 0.04), [[0, 2, 4], [1, 3], [5]]);
    assert.deepEqual(componentsWithin(lists, 0.02).length, 6);
  });
});
