/** From the templates of a gallery to its curve. Pure, in pieces. */
import { fitCurve, type ImpostorCurve } from './impostor-curve.js';
import {
  sampleImpostors,
  withoutPairs,
  type ClosePair,
  type SampleOptions,
  type TemplateMatrix,
} from './impostor-sample.js';
import { findSamePeople } from './same-people.js';

export interface GalleryFit {
  /** Null when there are too few people to speak of rates. */
  readonly curve: ImpostorCurve | null;
  readonly probeCount: number;
  readonly comparisonCount: number;
  /** Left out. */
  readonly samePairs: readonly ClosePair[];
}

/** Yields the share that is done, between pieces of some milliseconds. */
export function* fitGallery(templates: TemplateMatrix, options: SampleOptions): Generator<number, GalleryFit, void> {
  const sample = yield* sampleImpostors(templates, options);
  const samePairs = findSamePeople(sample);
  const strangers = withoutPairs(sample, samePairs);
  const { probeCount, comparisonCount } = strangers;
  return { curve: fitCurve(strangers), probeCount, comparisonCount, samePairs };
}
