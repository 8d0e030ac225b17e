/**
 * Synthetic galleries with the covariance of real face embeddings (see gallery-model/README.md).
 *
 * An identity is a centre, its templates scatter around it; a probe is a fresh template of somebody who is enrolled. Same seed and
 * sizes, same gallery.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseVector, squaredDistance, type UnitVector } from '../src/vector.js';
import { benchPath } from './machine.js';
import { makeRandom, type Random } from '../src/random.js';

export const modelDimensions = 128;

export interface ModelGallery {
  /** The templates of identity i are at i * templatesPerIdentity and following. */
  readonly templates: readonly UnitVector[];
  readonly templatesPerIdentity: number;
  readonly probes: readonly ModelProbe[];
}

export interface ModelProbe {
  readonly vector: UnitVector;
  /** Position of the identity that it was drawn from. */
  readonly identity: number;
}

/** Position of the nearest template and identities by scanning all: the truth that engines are held against. */
export interface ExactAnswer {
  /** Nearest first. */
  readonly templates: readonly number[];
  /** Distinct identities, nearest first, each by its best template. */
  readonly identities: readonly number[];
}

export function drawGallery(sizes: {
  readonly seed: number;
  readonly templateCount: number;
  readonly templatesPerIdentity: number;
  readonly probeCount: number;
}): ModelGallery {
  const { templatesPerIdentity } = sizes;
  const random = makeRandom(sizes.seed);
  const [mean, between, within] = [readModel('mean'), readModel('between'), readModel('within')];
  const identityCount = Math.ceil(sizes.templateCount / templatesPerIdentity);
  const centres = Array.from({ length: identityCount }, () => scatter(mean, between, random));
  const drawTemplate = (identity: number): UnitVector =>
    parseVector(scatter(centres[identity] ?? mean, within, random), modelDimensions, 'gallery model');
  return {
    templates: Array.from({ length: sizes.templateCount }, (_, position) =>
      drawTemplate(Math.floor(position / templatesPerIdentity)),
    ),
    templatesPerIdentity,
    probes: Array.from({ length: sizes.probeCount }, () => {
      const identity = random.below(identityCount);
      return { vector: drawTemplate(identity), identity };
    }),
  };
}

/** The `count` nearest templates and identities of a probe. */
export function scanGallery(
  { templates, templatesPerIdentity }: ModelGallery,
  probe: UnitVector,
  count: number,
): ExactAnswer {
  const distances = Float64Array.from(templates, (template) => squaredDistance(template, probe));
  // Nobody has more than templatesPerIdentity among the nearest, so this many hold `count` identities.
  const nearest = smallest(distances, count * templatesPerIdentity);
  const identities = [...new Set(nearest.map((position) => Math.floor(position / templatesPerIdentity)))];
  return { templates: nearest.slice(0, count), identities: identities.slice(0, count) };
}

/** Positions of the `count` smallest values, ascending, by insertion into a short list. */
function smallest(values: Float64Array, count: number): readonly number[] {
  const positions: number[] = [];
  const at = (position: number | undefined): number => (position === undefined ? Infinity : (values[position] ?? 0));
  for (let candidate = 0; candidate < values.length; candidate++) {
    if (positions.length === count && at(candidate) >= at(positions.at(-1))) continue;
    let place = positions.length;
    while (place > 0 && at(positions[place - 1]) > at(candidate)) place--;
    positions.splice(place, 0, candidate);
    if (positions.length > count) positions.pop();
  }
  return positions;
}

/** centre + z · rootᵀ with z standard normal. */
function scatter(centre: Float32Array, root: Float32Array, random: Random): Float32Array {
  const z = Float64Array.from({ length: modelDimensions }, () => random.normal());
  const result = new Float32Array(modelDimensions);
  for (let row = 0; row < modelDimensions; row++) {
    let sum = centre[row] ?? 0;
    for (let column = 0; column < modelDimensions; column++) {
      sum += (root[row * modelDimensions + column] ?? 0) * (z[column] ?? 0);
    }
    result[row] = sum;
  }
  return result;
}

function readModel(name: 'mean' | 'between' | 'within'): Float32Array {
  const bytes = readFileSync(join(benchPath, 'gallery-model', `${name}.f32`));
  return Float32Array.from({ length: bytes.length / 4 }, (_, position) => bytes.readFloatLE(position * 4));
}
