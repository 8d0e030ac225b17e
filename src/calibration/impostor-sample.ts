/**
 * Comparisons of a gallery's people with each other: what strangers at the door would look like to it.
 *
 * A probe is one native template of an identity, or a face that the caller knows; it is compared with every other identity as a search would be, by its nearest template. Never with its
 * own. Of large galleries as many probes are drawn as `comparisonsMax` allows, each still compared with everybody. Pure, in pieces.
 */
import { assertInvariant } from '../errors.js';
import { shuffled, type Random } from '../random.js';

/** The templates of a gallery in one space, those of an identity together. */
export interface TemplateMatrix {
  readonly dimensions: number;
  /** One unit vector a template, row after row. */
  readonly vectors: Float32Array;
  /** Position of the identity of each template, ascending from 0. */
  readonly owners: Uint32Array;
  /** 1 where a template was made from a face in this very space, as a probe is. */
  readonly native: Uint8Array;
}

/** Faces of people who are known, beside those that are enrolled. */
export interface GivenFaces {
  /** One unit vector a face, one face a person. */
  readonly vectors: Float32Array;
  /** Position of each one's identity in the gallery; -1 of who is not there. */
  readonly owners: Int32Array;
}

/** Two identities that are near to each other. */
export interface ClosePair {
  readonly one: number;
  readonly other: number;
  /** Squared L2. */
  readonly distance: number;
}

export interface ImpostorSample {
  readonly identityCount: number;
  readonly probeCount: number;
  /** Identities that each probe was compared with, altogether. */
  readonly comparisonCount: number;
  /** Of the probes; -1 where it is nobody of the gallery. */
  readonly owners: Int32Array;
  /** The nearest others of each probe, `nearestKept` a row, nearest first; Infinity where there are no more. */
  readonly nearest: Float64Array;
  readonly nearestOwners: Uint32Array;
  /** How many others each probe has in `binCount` equal bins over [0, binsEnd), a row a probe. What is beyond is in no bin. */
  readonly bins: Uint32Array;
  readonly binsEnd: number;
  /** Distances of two native templates of one person, of everybody who has two, ascending. */
  readonly mated: Float64Array;
}

/** So many can be found to be no strangers and taken away. */
export const nearestKept = 4;
export const binCount = 512;
/** Of impostors, beyond which no threshold lies. */
const binsEndShare = 0.5;
const endSampleCount = 2000;
/** Rows that the comparisons of one piece may have: some milliseconds. */
const pieceRows = 100_000;

export interface SampleOptions {
  /** Probes times templates. More sees rarer distances, and takes 0.1 us each. */
  readonly comparisonsMax: number;
  readonly random: Random;
  /** What a distance to the template in this row is worth among native ones; see `Calibration` in index/records.ts. */
  readonly worth: (row: number, distance: number) => number;
  readonly given?: GivenFaces | undefined;
}

interface Probe {
  readonly vector: Float32Array;
  readonly owner: number;
}

/** Yields the share that is done, between pieces of some milliseconds. */
export function* sampleImpostors(
  templates: TemplateMatrix,
  { comparisonsMax, random, worth, given }: SampleOptions,
): Generator<number, ImpostorSample, void> {
  const { owners } = templates;
  const identityCount = (owners.at(-1) ?? -1) + 1;
  const probesMax = Math.max(1, Math.floor(comparisonsMax / Math.max(1, owners.length)));
  const probes = drawProbes(templates, given, probesMax, random);
  const sample = {
    identityCount,
    probeCount: probes.length,
    comparisonCount: probes.reduce((sum, { owner }) => sum + identityCount - (owner < 0 ? 0 : 1), 0),
    owners: Int32Array.from(probes, ({ owner }) => owner),
    nearest: new Float64Array(probes.length * nearestKept).fill(Infinity),
    nearestOwners: new Uint32Array(probes.length * nearestKept),
    bins: new Uint32Array(probes.length * binCount),
    binsEnd: sampledQuantile(templates, probes, binsEndShare, random),
    mated: matedDistances(templates, random),
  };
  const distances = new Float64Array(identityCount);
  let rows = 0;
  for (const [position, { vector }] of probes.entries()) {
    nearestTemplates(templates, vector, worth, distances);
    record(sample, position, distances);
    rows += owners.length;
    if (rows >= pieceRows) {
      rows = 0;
      yield (position + 1) / probes.length;
    }
  }
  return sample;
}

/** One native template of an identity, or a given face, of as many people as are wanted. */
function drawProbes(
  templates: TemplateMatrix,
  given: GivenFaces | undefined,
  wanted: number,
  random: Random,
): readonly Probe[] {
  const enrolled = nativeRows(templates).map((rows): Probe => {
    const row = rows[random.below(rows.length)] as number;
    return { vector: vectorOf(templates, row), owner: templates.owners[row] as number };
  });
  const others = Array.from(given?.owners ?? [], (owner, at): Probe => {
    const { dimensions } = templates;
    return { vector: (given as GivenFaces).vectors.subarray(at * dimensions, (at + 1) * dimensions), owner };
  });
  return shuffled([...enrolled, ...others], random).slice(0, wanted);
}

function matedDistances(templates: TemplateMatrix, random: Random): Float64Array {
  const distances = nativeRows(templates).flatMap((rows) => {
    const [one, other] = shuffled(rows, random);
    return one === undefined || other === undefined ? [] : [distanceToRow(templates, other, vectorOf(templates, one))];
  });
  return Float64Array.from(distances).toSorted();
}

/** Of everybody who has any. */
function nativeRows({ owners, native }: TemplateMatrix): readonly (readonly number[])[] {
  const people: number[][] = [];
  for (let row = 0; row < owners.length; row++) {
    if (row === 0 || owners[row] !== owners[row - 1]) people.push([]);
    if (native[row] === 1) people.at(-1)?.push(row);
  }
  return people.filter((rows) => rows.length > 0);
}

/** Of the distances between probes and templates of others. */
function sampledQuantile(templates: TemplateMatrix, probes: readonly Probe[], share: number, random: Random): number {
  const { owners } = templates;
  const distances: number[] = [];
  for (let i = 0; i < endSampleCount && probes.length > 0; i++) {
    const [{ vector, owner }, row] = [probes[random.below(probes.length)] as Probe, random.below(owners.length)];
    if (owner !== owners[row]) distances.push(distanceToRow(templates, row, vector));
  }
  distances.sort((one, other) => one - other);
  return distances[Math.floor(share * distances.length)] ?? 4;
}

/** The distance of each identity's nearest template. */
function nearestTemplates(
  templates: TemplateMatrix,
  probe: Float32Array,
  worth: SampleOptions['worth'],
  distances: Float64Array,
): void {
  const { owners } = templates;
  distances.fill(Infinity);
  for (let row = 0; row < owners.length; row++) {
    const distance = worth(row, distanceToRow(templates, row, probe));
    const owner = owners[row] as number;
    if (distance < (distances[owner] as number)) distances[owner] = distance;
  }
}

function vectorOf({ vectors, dimensions }: TemplateMatrix, row: number): Float32Array {
  return vectors.subarray(row * dimensions, (row + 1) * dimensions);
}

/** Squared L2. */
function distanceToRow({ vectors, dimensions }: TemplateMatrix, row: number, vector: Float32Array): number {
  let dot = 0;
  for (let i = 0, at = row * dimensions; i < dimensions; i++, at++) {
    dot += (vector[i] as number) * (vectors[at] as number);
  }
  return Math.max(0, 2 - 2 * dot);
}

function record(sample: ImpostorSample, probe: number, distances: Float64Array): void {
  const { nearest, nearestOwners, bins, binsEnd, owners } = sample;
  const own = owners[probe];
  const from = probe * nearestKept;
  for (let owner = 0; owner < distances.length; owner++) {
    if (owner === own) continue;
    const distance = distances[owner] as number;
    if (distance < binsEnd) {
      const bin = probe * binCount + Math.floor((distance / binsEnd) * binCount);
      bins[bin] = (bins[bin] as number) + 1;
    }
    if (distance >= (nearest[from + nearestKept - 1] as number)) continue;
    let at = from + nearestKept - 1;
    for (; at > from && (nearest[at - 1] as number) > distance; at--) {
      nearest[at] = nearest[at - 1] as number;
      nearestOwners[at] = nearestOwners[at - 1] as number;
    }
    nearest[at] = distance;
    nearestOwners[at] = owner;
  }
}

/** Every close pair once, nearest first. */
export function closestPairs({ owners, nearest, nearestOwners, probeCount }: ImpostorSample): readonly ClosePair[] {
  const pairs = new Map<string, ClosePair>();
  for (let i = 0; i < probeCount * nearestKept; i++) {
    const distance = nearest[i] as number;
    if (distance === Infinity) continue;
    const [probe, found] = [owners[Math.floor(i / nearestKept)] as number, nearestOwners[i] as number];
    if (probe < 0) continue;
    const [one, other] = probe < found ? [probe, found] : [found, probe];
    const key = `${one} ${other}`;
    const known = pairs.get(key);
    if (!known || distance < known.distance) pairs.set(key, { one, other, distance });
  }
  return [...pairs.values()].toSorted((a, b) => a.distance - b.distance);
}

/** The sample without comparisons of these pairs: who is the same person under two names is no impostor. */
export function withoutPairs(sample: ImpostorSample, pairs: readonly ClosePair[]): ImpostorSample {
  const isTaken = (one: number, other: number): boolean =>
    pairs.some((pair) => (pair.one === one && pair.other === other) || (pair.one === other && pair.other === one));
  const nearest = sample.nearest.slice();
  const bins = sample.bins.slice();
  for (let i = 0; i < nearest.length; i++) {
    const probe = Math.floor(i / nearestKept);
    const distance = nearest[i] as number;
    if (distance === Infinity || !isTaken(sample.owners[probe] as number, sample.nearestOwners[i] as number)) continue;
    nearest[i] = Infinity;
    const bin = probe * binCount + Math.floor((distance / sample.binsEnd) * binCount);
    if (distance < sample.binsEnd) {
      assertInvariant((bins[bin] as number) > 0, 'whoever was near is in a bin');
      bins[bin] = (bins[bin] as number) - 1;
    }
  }
  return { ...sample, nearest, bins };
}

/** Distance of each probe's nearest other, ascending. */
export function nearestDistances({ nearest, probeCount }: ImpostorSample): Float64Array {
  const distances = Float64Array.from({ length: probeCount }, (_, probe) =>
    Math.min(...nearest.subarray(probe * nearestKept, (probe + 1) * nearestKept)),
  );
  return distances.filter((distance) => distance < Infinity).toSorted();
}
