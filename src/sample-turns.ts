/**
 * The samples of one call, a few at a time.
 *
 * A call with a hundred photos takes no more of the image lane at a time than a few calls with one: whoever comes after it waits for those, not for the hundred.
 */
import { asHarmonidError, HarmonidError } from './errors.js';

/** Enough to keep the workers of one call busy; a quarter of what the image lane works on by default. */
const samplesAtOnce = 4;

/**
 * What `work` gives for each sample, in their order. Waits for whatever has begun, so that nothing is left running; nothing begins after a sample was refused.
 * @throws the first error in the order of the samples; with several samples it says which one it speaks of, in its message and details
 */
export async function eachSample<Sample, T>(
  samples: readonly Sample[],
  work: (sample: Sample) => Promise<T>,
): Promise<T[]> {
  const done: T[] = [];
  const errors: unknown[] = [];
  // The loops share one iterator, so each sample is taken by one of them, in order: whatever stands before the first error has begun, too.
  const queue = samples.entries();
  const loop = async (): Promise<void> => {
    for (const [at, sample] of queue) {
      try {
        done[at] = await work(sample);
      } catch (error) {
        errors[at] = error;
      }
      if (errors.length > 0) return;
    }
  };
  await Promise.all(Array.from({ length: samplesAtOnce }, loop));
  const failed = errors.findIndex((_, at) => at in errors);
  if (failed >= 0) throw located(errors[failed], failed, samples.length);
  return done;
}

function located(error: unknown, sample: number, sampleCount: number): HarmonidError {
  const { code, message, details, cause } = asHarmonidError(error);
  if (sampleCount === 1) return asHarmonidError(error);
  return new HarmonidError(code, `sample ${sample + 1} of ${sampleCount}: ${message}`, {
    details: { ...details, sample },
    cause,
  });
}
