/** The rollout calls of harmonid.v1.AdminService: one short handler a call over any Database's `rollouts`. */
import type { Rollout, RolloutProgress } from '../migrate/rollout.js';
import { wireErrorOf } from '../wire/error-status.js';
import type { AdminServiceServer } from '../wire/harmonid/v1/admin.js';
import type {
  AddRolloutPairsOptions,
  AddRolloutPairsResponse,
  BackfillRolloutOptions,
  BackfillRolloutResponse,
  BackfillSample as WireBackfillSample,
  FitRolloutResponse,
  PairSample as WirePairSample,
} from '../wire/harmonid/v1/rollout.js';
import type { CallContext, Calls } from './calls.js';
import { answerItems } from './options-first.js';
import { formatProgress, formatReport, formatRollout } from './rollout-format.js';
import {
  parseBackfillSample,
  parseCanary,
  parseFit,
  parsePairSample,
  parseProbes,
  parseShadow,
  parseStart,
} from './rollout-parse.js';

type RolloutCalls = Pick<
  AdminServiceServer,
  | 'startRollout'
  | 'addRolloutPairs'
  | 'setRolloutProbes'
  | 'fitRollout'
  | 'getRolloutReport'
  | 'shadowRollout'
  | 'canaryRollout'
  | 'activateRollout'
  | 'backfillRollout'
  | 'listBackfillCandidates'
  | 'getRollout'
  | 'rollbackRollout'
  | 'completeRollout'
>;

export function rolloutCalls(calls: Calls): RolloutCalls {
  return {
    startRollout: calls.unary(async (request, call) => ({
      rollout: formatRollout(await call.database.rollouts.start(parseStart(request, call))),
    })),
    addRolloutPairs: calls.bidirectional((requests, call) =>
      answerItems<AddRolloutPairsOptions, WirePairSample, AddRolloutPairsResponse>(requests, (options, items) =>
        addPairs(options, items, call),
      ),
    ),
    setRolloutProbes: calls.unary(async (request, call) => ({
      rollout: formatRollout(await call.database.rollouts.probes(parseProbes(request, call))),
    })),
    fitRollout: calls.serverStream((request, call) => sendSteps(call.database.rollouts.fit(parseFit(request, call)))),
    getRolloutReport: calls.unary(async ({ gallery }, { database, signal }) => ({
      report: formatReport(await database.rollouts.report({ gallery, signal })),
    })),
    shadowRollout: calls.serverStream((request, call) =>
      sendSteps(call.database.rollouts.shadow(parseShadow(request, call))),
    ),
    canaryRollout: calls.unary(async (request, call) => ({
      rollout: formatRollout(await call.database.rollouts.canary(parseCanary(request, call))),
    })),
    activateRollout: calls.unary(async ({ gallery, fuse, reEnrol }, { database, signal }) => ({
      rollout: formatRollout(await database.rollouts.activate({ gallery, fuse, reEnrol, signal })),
    })),
    backfillRollout: calls.bidirectional((requests, call) =>
      answerItems<BackfillRolloutOptions, WireBackfillSample, BackfillRolloutResponse>(requests, (options, items) =>
        backfill(options, items, call),
      ),
    ),
    listBackfillCandidates: calls.unary(async ({ gallery, limit }, { database, signal }) => ({
      candidates: [...(await database.rollouts.backfillOrder({ gallery, limit, signal }))],
    })),
    getRollout: calls.unary(async ({ gallery }, { database, signal }) => ({
      rollout: formatRollout(await database.rollouts.get({ gallery, signal })),
    })),
    rollbackRollout: calls.unary(async ({ gallery }, { database, signal }) => ({
      rollout: formatRollout(await database.rollouts.rollback({ gallery, signal })),
    })),
    completeRollout: calls.unary(async ({ gallery, now }, { database, signal }) => ({
      rollout: formatRollout(await database.rollouts.complete({ gallery, now, signal })),
    })),
  };
}

async function* addPairs(
  options: AddRolloutPairsOptions | undefined,
  items: AsyncIterable<WirePairSample | undefined>,
  call: CallContext,
): AsyncIterable<AddRolloutPairsResponse> {
  const { database, signal } = call;
  const samples = parsed(items, parsePairSample);
  for await (const result of database.rollouts.addPairs({ gallery: options?.gallery, signal }, samples)) {
    const { index, added } = result;
    yield added === undefined
      ? { index, result: { $case: 'error', value: wireErrorOf(call.report(result.error)) } }
      : { index, result: { $case: 'added', value: added } };
  }
}

async function* backfill(
  options: BackfillRolloutOptions | undefined,
  items: AsyncIterable<WireBackfillSample | undefined>,
  call: CallContext,
): AsyncIterable<BackfillRolloutResponse> {
  const { database, signal } = call;
  const samples = parsed(items, parseBackfillSample);
  for await (const result of database.rollouts.backfill({ gallery: options?.gallery, signal }, samples)) {
    const { index, identity, replaced } = result;
    yield replaced === undefined
      ? { index, identity, result: { $case: 'error', value: wireErrorOf(call.report(result.error)) } }
      : { index, identity, result: { $case: 'replaced', value: replaced } };
  }
}

async function* parsed<Wire, Sample>(
  items: AsyncIterable<Wire | undefined>,
  parse: (item: Wire | undefined) => Sample,
): AsyncIterable<Sample> {
  for await (const item of items) yield parse(item);
}

/** Progress, and last the rollout. */
async function* sendSteps(steps: AsyncGenerator<RolloutProgress, Rollout, void>): AsyncIterable<FitRolloutResponse> {
  const end: { rollout?: Rollout } = {};
  // `yield*` ends the steps, too, when whoever asked has gone.
  async function* progress(): AsyncIterable<RolloutProgress> {
    end.rollout = yield* steps;
  }
  for await (const step of progress()) yield { part: { $case: 'progress', value: formatProgress(step) } };
  if (end.rollout) yield { part: { $case: 'rollout', value: formatRollout(end.rollout) } };
}
