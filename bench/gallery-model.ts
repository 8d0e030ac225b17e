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

/** Probes that each template is read for at once: reading it takes longer than comparing it. */
const probesTogether = 16;

/** The `count` nearest templates and identities of each probe. */
export function scanGallery(
  { templates, templatesPerIdentity, probes }: ModelGallery,
  count: number,
): readonly ExactAnswer[] {
  const answers: ExactAnswer[] = [];
  for (let from = 0; from < probes.length; from += probesTogether) {
    const together = probes
      .slice(from, from + probesTogether)
      // Nobody has more than templatesPerIdentity among the nearest, so this many hold `count` identities.
      .map(({ vector }) => ({ vector, nearest: new Nearest(count * templatesPerIdentity) }));
    for (const [position, template] of templates.entries())
      for (const { vector, nearest } of together) nearest.offer(position, squaredDistance(template, vector));
    for (const {
      nearest: { positions },
    } of together) {
      const identities = [...new Set(positions.map((position) => Math.floor(position / templatesPerIdentity)))];
      answers.push({ templates: positions.slice(0, count), identities: identities.slice(0, count) });
    }
  }
  return answers;
}

/** Positions of the `count` smallest distances, ascending, by insertion into a short list. */
class Nearest {
  readonly positions: number[] = [];
  readonly #distances: number[] = [];
  readonly #count: number;
  #worst = Infinity;

  constructor(count: number) {
    this.#count = count;
  }

  offer(position: number, distance: number): void {
    if (distance >= this.#worst) return;
    let place = this.positions.length;
    while (place > 0 && (this.#distances[place - 1] as number) > distance) place--;
    this.positions.splice(place, 0, position);
    this.#distances.splice(place, 0, distance);
    if (this.positions.length > this.#count) {
      this.positions.pop();
      this.#distances.pop();
    }
    if (this.positions.length === this.#count) this.#worst = this.#distances.at(-1) as number;
  }
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
