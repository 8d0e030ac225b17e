/** Pairs that are given to a rollout: one face in both spaces, from a photo that both models embed or from vectors, kept for the fit. */
import { parseVector, type UnitVector } from '../vector.js';
import type { RolloutContext } from './rollout-context.js';
import { refuseUnless } from './rollout-refusal.js';
import type { RolloutRecord } from './rollout-store.js';
import type { PairResult, PairSample, Rollout } from './rollout.js';
import { bothEmbedders, embedSample } from './sample-embedding.js';
import { takeSamples, type SampleOptions } from './sample-stream.js';

const pairStates = ['draft', 'fitted', 'gated', 'shadow', 'canary', 'active'] as const;

/** Yields a result a sample. @throws ROLLOUT_STATE */
export async function* addPairs(
  context: RolloutContext,
  gallery: string,
  samples: AsyncIterable<PairSample> | Iterable<PairSample>,
  options: SampleOptions<PairSample>,
): AsyncIterable<PairResult> {
  const record = context.store.get(gallery);
  refuseUnless(gallery, record, pairStates);
  const add = (sample: PairSample): Promise<boolean> => addPair(context, gallery, record, sample, options.signal);
  for await (const result of takeSamples(samples, ({ person }) => person ?? '', add, options)) {
    const { index, answer, error } = result;
    yield error ? { index, error } : { index, added: answer };
  }
}

/** @returns whether it was kept: see IdentityIndex.addPairs */
async function addPair(
  context: RolloutContext,
  gallery: string,
  record: RolloutRecord,
  sample: PairSample,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { vectors } = sample;
  const { from, to, imageDigest } = vectors
    ? { ...parseVectors(record, vectors), imageDigest: null }
    : await embedSample(context, gallery, record, sample, signal);
  const kept = await context.index.addPairs(gallery, [
    {
      person: sample.person ?? null,
      source: 'photos',
      imageDigest,
      from: { space: record.from.space, vector: from },
      to: { space: record.to.space, vector: to },
    },
  ]);
  return kept === 1;
}

function parseVectors(
  { from, to }: RolloutRecord,
  vectors: NonNullable<PairSample['vectors']>,
): { readonly from: UnitVector; readonly to: UnitVector } {
  return {
    from: parseVector(vectors.from, from.dimensions, `space "${from.space}"`),
    to: parseVector(vectors.to, to.dimensions, `space "${to.space}"`),
  };
}

/** Live probes go through both models from now on, or otherwise than before. @throws ROLLOUT_STATE, EMBEDDER_MISSING */
export async function setProbes(
  context: RolloutContext,
  gallery: string,
  { share, retentionDays }: Rollout['probes'],
): Promise<void> {
  const { store } = context;
  const record = store.get(gallery);
  refuseUnless(gallery, record, pairStates);
  if (retentionDays !== null) await bothEmbedders(context, gallery, record);
  if (record.shadowShare === share && record.pairRetentionDays === retentionDays) return;
  const kept = retentionDays === null ? 'none is kept' : `they are kept as pairs for ${retentionDays} days`;
  await store.put(gallery, {
    record: { ...record, shadowShare: share, pairRetentionDays: retentionDays },
    event: `${(100 * share).toFixed(1)} % of the live image probes go through both models; ${kept}`,
  });
}

/** Removes live probes that were kept longer than was agreed to. */
export async function pruneProbes({ index, store, clock }: RolloutContext, gallery: string): Promise<void> {
  const days = store.find(gallery)?.pairRetentionDays ?? null;
  if (days === null) return;
  await index.removePairs(gallery, { source: 'probe', before: clock() - days * 24 * 60 * 60 * 1000 });
}
