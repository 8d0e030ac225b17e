/** Samples of a stream: one that `parse` or the work refuses is refused alone, as its own result; at most `concurrency` are in work. */
import { importItems, type ItemResult } from '../import-stream.js';
import { unhurried } from '../threads/unhurried.js';

export interface SampleOptions<Sample> {
  readonly parse: (sample: Sample) => Sample;
  readonly signal: AbortSignal | undefined;
}

/** Fewer than an import's: a rollout is in no hurry, and doors are. */
const concurrency = 4;

export function takeSamples<Sample, Answer>(
  samples: AsyncIterable<Sample> | Iterable<Sample>,
  identityOf: (sample: Sample) => string,
  take: (sample: Sample) => Promise<Answer>,
  { parse, signal }: SampleOptions<Sample>,
): AsyncIterable<ItemResult<Answer>> {
  const items = itemsOf(samples, identityOf);
  const work = async ({ sample }: { readonly sample: Sample }): Promise<Answer> =>
    unhurried(() => take(parse(sample)), signal);
  return importItems(work, items, { concurrency, signal });
}

async function* itemsOf<T>(
  samples: AsyncIterable<T> | Iterable<T>,
  identityOf: (sample: T) => string,
): AsyncIterable<{ readonly identity: string; readonly sample: T }> {
  for await (const sample of samples) yield { identity: identityOf(sample), sample };
}
