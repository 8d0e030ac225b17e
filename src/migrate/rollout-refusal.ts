/** Why a step of a rollout is not done: always ROLLOUT_STATE, naming the gallery and what is in the way; made before anything is changed. */
import { HarmonidError } from '../errors.js';
import type { RolloutRecord } from './rollout-store.js';
import type { RolloutState } from './rollout.js';

/** @param what goes on from "the rollout of gallery …" */
export function refusal(gallery: string, what: string, details: object = {}): HarmonidError {
  return new HarmonidError('ROLLOUT_STATE', `the rollout of gallery "${gallery}" ${what}`, {
    details: { gallery, ...details },
  });
}

/** @throws ROLLOUT_STATE */
export function refuseUnless(gallery: string, { state }: RolloutRecord, allowed: readonly RolloutState[]): void {
  if (allowed.includes(state)) return;
  throw refusal(gallery, `is in state ${state}; this wants ${allowed.join(', ')}`, { state, allowed });
}
