/** Rollouts of an open index: the steps, and what they change at the door. */
import type { EmbedderSet } from '../embedder/embedder-set.js';
import type { IdentityIndex } from '../index/index-api.js';
import { makeRandom } from '../random.js';
import { Adapters } from './adapters.js';
import { Door } from './door.js';
import type { RolloutContext } from './rollout-context.js';
import { RolloutService } from './rollout-service.js';
import { RolloutStore } from './rollout-store.js';

export interface OpenRollouts {
  readonly steps: RolloutService;
  readonly door: Door;
  /** Takes up what is due: what a process that died left undone, and live probes that are too old. Not in a directory that is read only. */
  begin(): Promise<void>;
  close(): Promise<void>;
}

const pruneEveryMs = 60 * 60 * 1000;

export interface RolloutParts {
  readonly index: IdentityIndex;
  readonly embedders: EmbedderSet;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  readonly onWarning: (message: string, facts: object) => void;
}

export function openRollouts({ index, embedders, clock, onWarning }: RolloutParts): OpenRollouts {
  const store = new RolloutStore(index, clock);
  const context: RolloutContext = { index, embedders, store, adapters: new Adapters(), clock, onWarning };
  const steps = new RolloutService(context, (gallery) => door.countsOf(gallery));
  const door: Door = new Door(context, {
    random: makeRandom(clock()),
    onAlarm(gallery, alarm) {
      onWarning('a rollout goes back by itself', { gallery, alarm });
      steps.rollback(gallery, alarm).catch((error: unknown) => {
        onWarning('a rollout could not go back by itself', { gallery, alarm, error });
      });
    },
  });
  let pruning: NodeJS.Timeout | undefined;
  return {
    steps,
    door,
    async begin() {
      steps.resume();
      await steps.prunePairs();
      pruning = setInterval(() => {
        steps.prunePairs().catch((error: unknown) => onWarning('live probes could not be removed in time', { error }));
      }, pruneEveryMs);
      pruning.unref();
    },
    async close() {
      clearInterval(pruning);
      await steps.close();
    },
  };
}
