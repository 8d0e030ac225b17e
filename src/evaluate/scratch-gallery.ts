/**
 * A gallery of the identity index in a temporary directory, for as long as an evaluation takes: the store, the graph and the search are the ones that serve.
 *
 * One difference is on purpose: where a graph is wanted there is one from the first template on, which a small gallery would do without. Below some forty
 * templates it is not walked all the same; each answer says whether every template was compared.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { throwIfAborted } from '../errors.js';
import { openIdentityIndex, type IdentityIndex } from '../index/identity-index.js';
import type { UnitVector } from '../vector.js';

export const searchEngines = ['exact', 'hnsw'] as const;
export type SearchEngine = (typeof searchEngines)[number];

export interface ScratchPerson {
  readonly identity: string;
  readonly vector: UnitVector;
}

export interface ScratchHit {
  readonly identity: string;
  /** Squared L2. */
  readonly distance: number;
  /** Whether every template was compared. */
  readonly exact: boolean;
}

export interface ScratchGallery {
  /** Resolves when the graph holds them, too. @throws CANCELLED between two portions */
  enroll(people: readonly ScratchPerson[], signal?: AbortSignal): Promise<void>;
  /** The first candidate; null where nobody is enrolled. @throws CANCELLED */
  search(probe: UnitVector, engine: SearchEngine, signal?: AbortSignal): Promise<ScratchHit | null>;
}

export interface ScratchOptions {
  readonly space: string;
  readonly dimensions: number;
  readonly threshold: number;
  /** Whether a graph is built. */
  readonly graph: boolean;
  /** Width of its walk. */
  readonly ef: number;
}

/** Enrolments that share a commit and are waited for together. */
const portion = 500;
const gallery = 'evaluation';

/** Opens one, works on it, and removes it whatever happens. */
export async function withScratchGallery<T>(
  options: ScratchOptions,
  work: (gallery: ScratchGallery) => Promise<T>,
): Promise<T> {
  const path = await mkdtemp(join(tmpdir(), 'harmonid-evaluation-'));
  try {
    const index = await openIdentityIndex({
      path,
      // Nothing here outlives the process.
      durability: 'committed',
      exactMax: options.graph ? 0 : Number.MAX_SAFE_INTEGER,
    });
    try {
      return await work(await makeGallery(index, options));
    } finally {
      await index.close();
    }
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

async function makeGallery(
  index: IdentityIndex,
  { space, dimensions, threshold, ef }: ScratchOptions,
): Promise<ScratchGallery> {
  await index.createGallery({
    gallery,
    space,
    dimensions,
    threshold,
    thresholdSource: 'the model pack',
    margin: 0,
    duplicates: 'ignore',
    refuseReasons: [],
    templatesPerIdentityMax: 1,
    description: '',
  });
  return {
    async enroll(people, signal) {
      for (let from = 0; from < people.length; from += portion) {
        throwIfAborted(signal);
        await Promise.all(
          people.slice(from, from + portion).map(({ identity, vector }) =>
            index.enroll({
              gallery,
              identity,
              templates: [{ vector, space, origin: 'native', quality: null, imageDigest: null }],
            }),
          ),
        );
        await index.settle();
      }
    },
    async search(probe, engine, signal) {
      const exact = engine === 'exact';
      const { candidates, ...answer } = await index.search({ gallery, space, probe, k: 1, exact, ef, signal });
      const [first] = candidates;
      return first ? { identity: first.identity, distance: first.distance, exact: answer.exact } : null;
    },
  };
}
