/**
 * Method: people made by a seeded model. What the curve says of strangers is held against strangers whom it never saw, compared by brute force with the same gallery; what it says of
 * smaller galleries against random parts of it.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import {
  distanceAtFpir,
  fitCurve,
  fpirIntervalWithin,
  fpirWithin,
  type ImpostorCurve,
} from '../../src/calibration/impostor-curve.js';
import { closestPairs, nearestDistances, withoutPairs } from '../../src/calibration/impostor-sample.js';
import { findSamePeople } from '../../src/calibration/same-people.js';
import { squaredDistance, type UnitVector } from '../../src/vector.js';
import { makeFaces, randomFrom } from '../index/faces.js';
import { matrixOf, sampled } from './made-gallery.js';

const enrolledCount = 600;
const strangerCount = 3000;

describe('the curve of a gallery', () => {
  const maker = makeFaces(randomFrom(20), { dimensions: 24, spread: 0.1 });
  const people = Array.from({ length: enrolledCount }, (_, person) => [maker.face(person), maker.face(person)]);
  const strangers = Array.from({ length: strangerCount }, (_, i) => maker.face(enrolledCount + i));
  const nearestTo = (probe: UnitVector, gallery: readonly (readonly UnitVector[])[]): number =>
    Math.min(...gallery.flatMap((faces) => faces.map((face) => squaredDistance(probe, face))));
  const truth = strangers.map((probe) => nearestTo(probe, people)).toSorted((a, b) => a - b);
  const curve = fitCurve(sampled(matrixOf(people))) as ImpostorCurve;

  it('lets in as many strangers as it says', () => {
    for (const [fpir, factor] of [
      [0.3, 1.2],
      [0.1, 1.4],
      [0.01, 2.5],
    ] as const) {
      const threshold = distanceAtFpir(curve, fpir, enrolledCount);
      const realised = truth.filter((distance) => distance <= threshold).length / strangerCount;
      assert.ok(realised < fpir * factor && realised > fpir / factor, `asked for ${fpir}, realised ${realised}`);
    }
  });

  it('knows smaller galleries: random parts of this one let fewer in', () => {
    for (const size of [1, 20, 200]) {
      const threshold = distanceAtFpir(curve, 0.05, size);
      let within = 0;
      for (const [i, probe] of strangers.entries()) {
        const from = (i * 7) % (enrolledCount - size);
        if (nearestTo(probe, people.slice(from, from + size)) <= threshold) within++;
      }
      const realised = within / strangerCount;
      assert.ok(realised > 0.03 && realised < 0.08, `${size} identities: ${realised}`);
    }
  });

  it('rises with the distance and with the gallery, in proportion where it is small', () => {
    const small = distanceAtFpir(curve, 1e-4, enrolledCount);
    const [once, twice] = [fpirWithin(curve, small, enrolledCount), fpirWithin(curve, small, 2 * enrolledCount)];
    assert.ok(Math.abs(once - 1e-4) < 2e-6, `${once}`);
    assert.ok(Math.abs(twice / once - 2) < 1e-3, `${twice / once}`);
    let before = 0;
    for (let distance = 0; distance < 1; distance += 0.005) {
      const { rate, low, high } = fpirIntervalWithin(curve, distance, enrolledCount);
      assert.ok(rate >= before && low <= rate && rate <= high && high <= 1);
      assert.ok(fpirWithin(curve, distance, 100) <= rate);
      before = rate;
    }
    assert.equal(fpirWithin(curve, 0.3, 0), 0);
  });

  it('finds the nearest of each as brute force does, whatever the pieces', () => {
    const part = people.slice(0, 40);
    const sample = sampled(matrixOf(part));
    const probes = Array.from(sample.owners);
    assert.deepEqual(
      probes.toSorted((a, b) => a - b),
      Array.from({ length: 40 }, (_, i) => i),
    );
    // Either of a person's two faces may be the probe.
    const expected = probes.map((owner) => {
      const others = part.filter((_, i) => i !== owner);
      return (part[owner] ?? []).map((face) => nearestTo(face, others));
    });
    const nearest = probes.map((_, i) => sample.nearest[4 * i] as number);
    nearest.forEach((distance, i) =>
      assert.ok(
        expected[i]?.some((wanted) => Math.abs(wanted - distance) < 1e-6),
        `${distance} of ${expected[i]?.join()}`,
      ),
    );
    assert.deepEqual(
      Array.from(nearestDistances(sample)),
      nearest.toSorted((a, b) => a - b),
    );
    const [first] = closestPairs(sample);
    assert.equal(first?.distance, Math.min(...nearest));
  });

  it('takes faces that are given as probes, never with their own', () => {
    const part = people.slice(0, 200);
    const given = {
      vectors: Float32Array.from([...(strangers[0] ?? []), ...(part[7]?.[0] ?? [])]),
      owners: Int32Array.of(-1, 7),
    };
    const sample = sampled(matrixOf(part), { given });
    assert.equal(sample.probeCount, 202);
    assert.equal(sample.comparisonCount, 200 * 199 + 200 + 199);
    const at = sample.owners.indexOf(-1);
    assert.ok(Math.abs((sample.nearest[4 * at] as number) - nearestTo(strangers[0] as UnitVector, part)) < 1e-6);
    assert.ok(Math.min(...sample.nearest) > 0.01, 'nobody is compared with himself');
  });

  it('draws as many probes as it may', () => {
    const sample = sampled(matrixOf(people), { comparisonsMax: 150 * 2 * enrolledCount });
    assert.equal(sample.probeCount, 150);
    assert.ok(fitCurve(sample));
    assert.equal(fitCurve(sampled(matrixOf(people.slice(0, 90)))), null, 'ninety people are too few');
  });

  it('leaves out who is enrolled twice, and nobody else', () => {
    assert.deepEqual(findSamePeople(sampled(matrixOf(people))), []);
    const doubled = [...people, [maker.face(3), maker.face(3)], [maker.face(250)]];
    const sample = sampled(matrixOf(doubled));
    const same = findSamePeople(sample);
    assert.deepEqual(same.map(({ one, other }) => `${one} ${other}`).toSorted(), [
      `250 ${enrolledCount + 1}`,
      `3 ${enrolledCount}`,
    ]);
    const [strict, mended] = [fitCurve(sample), fitCurve(withoutPairs(sample, same))];
    assert.ok(strict && mended);
    const wanted = distanceAtFpir(curve, 0.003, enrolledCount);
    assert.ok(distanceAtFpir(strict, 0.003, enrolledCount) < 0.9 * wanted, 'two pairs would make it strict');
    const ratio = distanceAtFpir(mended, 0.003, enrolledCount) / wanted;
    assert.ok(ratio > 0.93 && ratio < 1.07, `${ratio}`);
  });
});
