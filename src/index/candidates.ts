/**
 * Ranked identities -> decision. Pure.
 *
 * The words are those of ISO/IEC 2382-37; distances are squared L2. `ambiguous` is the answer that keeps a door shut when two
 * people are equally likely: better to say so than to pick one.
 */
import type { Candidate, Decision } from './records.js';

/** Nearest first; ties by the identity's id in UTF-8 byte order, so that an answer never depends on the order of enrolment. */
export function rankCandidates(candidates: readonly Candidate[]): readonly Candidate[] {
  return candidates.toSorted(byDistance);
}

/** The order of `rankCandidates`. */
export function byDistance(a: Candidate, b: Candidate): number {
  return a.distance - b.distance || Buffer.compare(Buffer.from(a.identity), Buffer.from(b.identity));
}

export interface Judgement {
  readonly decision: Decision;
  /** Distance of the second candidate minus the first's; null when there is no second. */
  readonly margin: number | null;
}

/** Judges candidates in ranked order; one candidate an identity. */
export function judge(ranked: readonly Pick<Candidate, 'distance'>[], threshold: number, margin: number): Judgement {
  const [best, second] = ranked;
  const gap = best && second ? second.distance - best.distance : null;
  if (!best || best.distance > threshold) return { decision: 'no-match', margin: gap };
  const ambiguous = second !== undefined && gap !== null && second.distance <= threshold && gap < margin;
  return { decision: ambiguous ? 'ambiguous' : 'match', margin: gap };
}
