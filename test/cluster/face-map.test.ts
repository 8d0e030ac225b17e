/** A map of seeded people: who is near in 32 dimensions is near on it. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { mapFaces } from '../../src/cluster/face-map.js';
import { makeRandom } from '../../src/random.js';
import { parseVector } from '../../src/vector.js';

const perPerson = 12;
const random = makeRandom(5);
const vectors = Array.from({ length: 10 }, () => Array.from({ length: 32 }, () => random.normal())).flatMap((centre) =>
  Array.from({ length: perPerson }, () =>
    parseVector(
      centre.map((value) => value + 0.3 * random.normal()),
      32,
      'the test',
    ),
  ),
);

describe('map of faces', () => {
  it('keeps people together: the nearest of each face on the map is of the same person', async () => {
    const places = await mapFaces(vectors, { seed: 3 });
    const atHome = places.filter(([x, y], face) => {
      const distances = places.map(([u, v], other) => (other === face ? Infinity : (x - u) ** 2 + (y - v) ** 2));
      const nearest = distances.indexOf(Math.min(...distances));
      return Math.floor(nearest / perPerson) === Math.floor(face / perPerson);
    });
    assert.equal(places.length, vectors.length);
    // By chance it would be a tenth.
    assert.ok(atHome.length > 0.95 * places.length, `${atHome.length} of ${places.length}`);
  });

  it('is the same for the same seed, and another for another', async () => {
    const few = vectors.slice(0, 40);
    const first = await mapFaces(few, { seed: 1 });
    assert.deepEqual(await mapFaces(few, { seed: 1 }), first);
    assert.notDeepEqual(await mapFaces(few, { seed: 2 }), first);
  });

  it('lays one and two faces beside each other, and none nowhere', async () => {
    assert.deepEqual(await mapFaces([]), []);
    assert.deepEqual(await mapFaces(vectors.slice(0, 2)), [
      [0, 0],
      [1, 0],
    ]);
    assert.equal((await mapFaces(vectors.slice(0, 3))).length, 3);
  });

  it('can be given up', async () => {
    await assert.rejects(mapFaces(vectors, { signal: AbortSignal.abort() }), { code: 'CANCELLED' });
  });
});
