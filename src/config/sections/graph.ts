/** The graphs that searches of large galleries go through. */
import { z } from 'zod';
import { key, section } from '../key.js';

export const graphEngines = ['harmonid', 'hnswlib'] as const;

export const graphSection = section(
  z.strictObject({
    engine: key(
      z.enum(graphEngines).default('harmonid'),
      'What searches large galleries: our own engine or hnswlib. A graph that the other one has saved is built anew.',
      { flag: '--engine' },
    ),
    rerank: key(
      z.enum(['memory', 'store']).default('memory'),
      'Whether our own engine keeps 16-bit vectors in memory (some 550 bytes a template) or reads those of candidates from the store (some 280 bytes, slower).',
    ),
    searchThreads: key(
      z.int().min(0).max(16).optional(),
      'Of our own engine: threads that search beside the one in which graphs live, at most; they are started when searches wait for each other. Larger answers more at once, where there are cores.',
      { unset: 'one less than there are cores, at most 4' },
    ),
    exactMax: key(
      z.int().min(0).max(10_000_000).default(2_000),
      'Galleries of up to so many templates have no graph and are compared one by one. Larger saves memory and costs search time.',
    ),
    checkpointEvery: key(
      z.int().min(1).max(1_000_000_000).default(20_000),
      'Changes of a gallery after which its graph is saved. Smaller opens faster after a crash and writes more.',
    ),
    recallMin: key(
      z.number().min(0).max(1).default(0.9),
      'Share of sampled queries whose nearest identity a graph must find first; below it the graph is built anew. Larger builds anew more often.',
    ),
  }),
  'The graphs of large galleries.',
);
