/** Rollouts behind a gRPC server: the same semantics and error codes as the embedded ones. */
import type { CallOptions } from '../api.js';
import type {
  ActivateRolloutRequest,
  BackfillCandidate,
  BackfillResult,
  BackfillSample,
  CanaryRolloutRequest,
  CompleteRolloutRequest,
  FitReport,
  FitRolloutRequest,
  PairResult,
  PairSample,
  Rollout,
  RolloutProgress,
  Rollouts,
  RolloutProbesRequest,
  ShadowRolloutRequest,
  StartRolloutRequest,
} from '../migrate/rollout.js';
import { AdminServiceService as admin } from '../wire/harmonid/v1/admin.js';
import type {
  AddRolloutPairsRequest,
  BackfillRolloutRequest,
  FitRolloutResponse,
} from '../wire/harmonid/v1/rollout.js';
import type { Connection, Method } from './connection.js';
import { present } from './parse.js';
import {
  formatBackfillSample,
  formatCanary,
  formatFit,
  formatPairSample,
  formatProbes,
  formatShadow,
  formatStart,
} from './rollout-format.js';
import { parseBackfillResult, parsePairResult, parseProgress, parseReport, parseRollout } from './rollout-parse.js';
import { SentItems } from './sent-items.js';

type RolloutCall = CallOptions & { readonly gallery?: string | undefined };

export class RemoteRollouts implements Rollouts {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async start(request: StartRolloutRequest): Promise<Rollout> {
    return parseRollout((await this.#connection.unary(admin.startRollout, formatStart(request), request)).rollout);
  }

  async *addPairs(
    request: RolloutCall,
    samples: AsyncIterable<PairSample> | Iterable<PairSample>,
  ): AsyncGenerator<PairResult, void, void> {
    const items = new SentItems(samples, formatPairSample);
    async function* requests(): AsyncGenerator<AddRolloutPairsRequest, void, void> {
      yield { part: { $case: 'options', value: { gallery: request.gallery } } };
      for await (const item of items) yield { part: item && { $case: 'item', value: item } };
    }
    for await (const response of this.#connection.bidirectional(admin.addRolloutPairs, requests(), request)) {
      const { index } = response;
      const unsent = items.takeUnsent(index);
      yield unsent ? { index, error: unsent.error } : parsePairResult(response);
    }
  }

  async probes(request: RolloutProbesRequest): Promise<Rollout> {
    return parseRollout((await this.#connection.unary(admin.setRolloutProbes, formatProbes(request), request)).rollout);
  }

  async *fit(request: FitRolloutRequest): AsyncGenerator<RolloutProgress, Rollout, void> {
    return yield* this.#steps(admin.fitRollout, formatFit(request), request);
  }

  async report(request: RolloutCall): Promise<FitReport> {
    const { gallery } = request;
    return parseReport((await this.#connection.repeatable(admin.getRolloutReport, { gallery }, request)).report);
  }

  async *shadow(request: ShadowRolloutRequest): AsyncGenerator<RolloutProgress, Rollout, void> {
    return yield* this.#steps(admin.shadowRollout, formatShadow(request), request);
  }

  async canary(request: CanaryRolloutRequest): Promise<Rollout> {
    return parseRollout((await this.#connection.unary(admin.canaryRollout, formatCanary(request), request)).rollout);
  }

  async activate(request: ActivateRolloutRequest): Promise<Rollout> {
    const { gallery, fuse = false, reEnrol = false } = request;
    return parseRollout(
      (await this.#connection.patient(admin.activateRollout, { gallery, fuse, reEnrol }, request)).rollout,
    );
  }

  async *backfill(
    request: RolloutCall,
    samples: AsyncIterable<BackfillSample> | Iterable<BackfillSample>,
  ): AsyncGenerator<BackfillResult, void, void> {
    const items = new SentItems(samples, formatBackfillSample);
    async function* requests(): AsyncGenerator<BackfillRolloutRequest, void, void> {
      yield { part: { $case: 'options', value: { gallery: request.gallery } } };
      for await (const item of items) yield { part: item && { $case: 'item', value: item } };
    }
    for await (const response of this.#connection.bidirectional(admin.backfillRollout, requests(), request)) {
      const { index } = response;
      const unsent = items.takeUnsent(index);
      yield unsent ? { index, identity: unsent.item.identity, error: unsent.error } : parseBackfillResult(response);
    }
  }

  async backfillOrder(
    request: RolloutCall & { readonly limit?: number | undefined },
  ): Promise<readonly BackfillCandidate[]> {
    const { gallery, limit } = request;
    return (await this.#connection.repeatable(admin.listBackfillCandidates, { gallery, limit }, request)).candidates;
  }

  async get(request: RolloutCall): Promise<Rollout> {
    const { gallery } = request;
    return parseRollout((await this.#connection.repeatable(admin.getRollout, { gallery }, request)).rollout);
  }

  async rollback(request: RolloutCall): Promise<Rollout> {
    const { gallery } = request;
    return parseRollout((await this.#connection.patient(admin.rollbackRollout, { gallery }, request)).rollout);
  }

  async complete(request: CompleteRolloutRequest): Promise<Rollout> {
    const { gallery, now = false } = request;
    return parseRollout((await this.#connection.patient(admin.completeRollout, { gallery, now }, request)).rollout);
  }

  /** Progress as it comes; returns the rollout, which is the last message. */
  async *#steps<Q>(
    method: Method<Q, FitRolloutResponse>,
    request: Q,
    options: CallOptions,
  ): AsyncGenerator<RolloutProgress, Rollout, void> {
    for await (const { part } of this.#connection.serverStream(method, request, options)) {
      const { $case, value } = present(part, 'part');
      if ($case === 'rollout') return parseRollout(value);
      yield parseProgress(value);
    }
    return present<Rollout>(undefined, 'rollout');
  }
}
