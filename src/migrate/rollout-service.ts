/**
 * The steps of rollouts over an open index.
 *
 * Promises: a step is refused before it changes anything, or it is done as a whole: what serves, what is kept and the journal change in one
 * transaction. One step of a gallery at a time; a rollback ends a long one that is under way. What a process that died left undone (mapping,
 * clearing) is taken up by `resume`.
 */
import { HarmonidError, isHarmonidError, throwIfAborted } from '../errors.js';
import { erasedAmong, makeFitQuestion, type FitSettings } from './fit-question.js';
import { isRefusing } from './gates.js';
import { startMigrateThread } from './migrate-thread.js';
import { progressOf } from './progress-stream.js';
import { backfill, backfillOrder } from './rollout-backfill.js';
import type { RolloutContext } from './rollout-context.js';
import type { FitOutcome } from './rollout-fit.js';
import { mapMissing, recallBeside, refusePartial } from './rollout-lane.js';
import { addPairs, pruneProbes, setProbes } from './rollout-pairs.js';
import { bothEmbedders } from './sample-embedding.js';
import { refusal, refuseUnless } from './rollout-refusal.js';
import { openShadow } from './rollout-shadow.js';
import { adapterNames, noDocuments, RolloutStore, type RolloutRecord } from './rollout-store.js';
import { alarmOf } from './alarm.js';
import { countTemplates, namedLost, viewRollout } from './rollout-view.js';
import type {
  BackfillCandidate,
  BackfillResult,
  BackfillSample,
  FitReport,
  GateName,
  PairResult,
  PairSample,
  Rollout,
  RolloutProgress,
  RolloutState,
  RolloutTarget,
  ShadowCounts,
} from './rollout.js';
import type { SampleOptions } from './sample-stream.js';

/** After an activation the old vectors are kept so long at least, milliseconds. */
const graceMs = 7 * 24 * 60 * 60 * 1000;
/** Share of the vectors it is tried with that the new graph must find before it serves. */
const recallMin = 0.95;

const ended: ReadonlySet<RolloutState> = new Set(['complete', 'rolled-back']);
/** Mapping that a process that died had left undone. */
const resumedStep = 'mapping';

interface Running {
  readonly step: string;
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

export class RolloutService {
  readonly #context: RolloutContext;
  readonly #countsOf: (gallery: string) => ShadowCounts;
  /** By gallery. */
  readonly #running = new Map<string, Running>();
  #resuming: Promise<void> = Promise.resolve();
  #isClosing = false;

  /** @param countsOf what live probes have shown, to the last one */
  constructor(context: RolloutContext, countsOf: (gallery: string) => ShadowCounts) {
    this.#context = context;
    this.#countsOf = countsOf;
  }

  // ── Looking ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** @throws ROLLOUT_NOT_FOUND */
  get(gallery: string): Promise<Rollout> {
    return viewRollout(this.#context, gallery, this.#countsOf);
  }

  /** @throws ROLLOUT_STATE before a fit */
  report(gallery: string): FitReport {
    const { store } = this.#context;
    store.get(gallery);
    const report = store.report(gallery);
    if (!report) throw refusal(gallery, 'has no fit to report on; `rollout fit` makes one');
    return { ...report, lost: namedLost(this.#context, gallery, report.lost) };
  }

  // ── Beginning ──────────────────────────────────────────────────────────────────────────────────────────────────────

  async start(
    gallery: string,
    wanted: { readonly pack: string } | { readonly target: Omit<RolloutTarget, 'pack'> },
    { mapMapped }: { readonly mapMapped: boolean },
  ): Promise<Rollout> {
    const { index, store, embedders, clock } = this.#context;
    return this.#alone(gallery, 'start', async () => {
      const view = index.getGallery(gallery);
      const former = store.find(gallery);
      if (former && !ended.has(former.state)) {
        throw refusal(gallery, `has a rollout to "${former.to.space}" in state ${former.state}`);
      }
      const to = 'pack' in wanted ? await this.#targetOf(wanted.pack) : { pack: null, ...wanted.target };
      if (to.space === view.space) {
        throw new HarmonidError('SPACE_MISMATCH', `gallery "${gallery}" is in space "${to.space}" already`, {
          details: { gallery, gallerySpace: view.space, targetSpace: to.space },
        });
      }
      const { mapped } = await countTemplates(this.#context, gallery, view.space);
      if (mapped > 0 && !mapMapped) {
        throw refusal(
          gallery,
          `cannot begin: ${mapped} templates were mapped from a former model, and a map of a map is worse; enrol the photos of these people again, or allow it`,
          { mapped },
        );
      }
      // Those of another target are of no use.
      if (former && former.to.space !== to.space) await index.removePairs(gallery, {});
      const old = await embedders.inSpace(view.space);
      const { space, dimensions, threshold } = view;
      const record: RolloutRecord = {
        state: 'draft',
        from: { pack: old?.info.pack ?? null, space, dimensions, threshold },
        to,
        startedAt: clock(),
        activatedAt: null,
        fit: null,
        canary: null,
        shadowShare: 1,
        pairRetentionDays: null,
        alarm: null,
        fused: false,
        reEnrols: false,
      };
      const chained = mapped > 0 ? `, mapping ${mapped} templates that were mapped before` : '';
      const event = `started: from "${space}" to "${to.space}"${chained}`;
      await store.put(gallery, { record, event, documents: noDocuments });
      return this.get(gallery);
    });
  }

  async #targetOf(pack: string): Promise<RolloutTarget> {
    const { space, dimensions, threshold } = (await this.#context.embedders.ofPack(pack)).info;
    return { pack, space, dimensions, threshold };
  }

  addPairs(
    gallery: string,
    samples: AsyncIterable<PairSample> | Iterable<PairSample>,
    options: SampleOptions<PairSample>,
  ): AsyncIterable<PairResult> {
    return addPairs(this.#context, gallery, samples, options);
  }

  /** @param use the share of the live probes that goes through both models, and how long they are kept as pairs */
  async probes(gallery: string, use: Rollout['probes']): Promise<Rollout> {
    return this.#alone(gallery, 'probes', async () => {
      await setProbes(this.#context, gallery, use);
      return this.get(gallery);
    });
  }

  // ── Fitting ────────────────────────────────────────────────────────────────────────────────────────────────────────

  fit(
    gallery: string,
    settings: FitSettings,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<RolloutProgress, Rollout, void> {
    return this.#long(gallery, 'fit', signal, async (onProgress, stop) => {
      const { store } = this.#context;
      const record = store.get(gallery);
      refuseUnless(gallery, record, ['draft', 'fitted', 'gated']);
      const question = await makeFitQuestion(this.#context, gallery, record, settings);
      const thread = startMigrateThread();
      let outcome: FitOutcome;
      try {
        outcome = await thread.call('fit', question, { onProgress, signal: stop });
      } finally {
        await thread.close();
      }
      throwIfAborted(stop);
      const erased = erasedAmong(this.#context, gallery, question.pairs.people);
      if (erased > 0)
        throw refusal(gallery, `lost ${erased} of the people it was fitted on while it was; fit it again without them`);
      const { forward, backward } = outcome;
      const report: FitReport = { gallery, ...outcome.report };
      const { curves: _curves, lost: _lost, calibration: _calibration, gallery: _gallery, ...fit } = report;
      const refusing = report.gates.filter(isRefusing);
      await store.put(gallery, {
        record: { ...record, state: refusing.length === 0 ? 'gated' : 'fitted', fit },
        event: `fitted on ${forward.manifest.pairs} pairs of ${forward.manifest.people} people: ${report.chosen}; ${
          refusing.length === 0
            ? 'every gate lets it pass'
            : `refused by ${refusing.map(({ gate }) => gate).join(', ')}`
        }`,
        documents: {
          ...RolloutStore.reportDocument(report),
          ...RolloutStore.fitPeopleDocument(question.pairs.people),
          [adapterNames.forward]: forward.network,
          [adapterNames.backward]: backward.network,
        },
      });
      return this.get(gallery);
    });
  }

  // ── Serving ────────────────────────────────────────────────────────────────────────────────────────────────────────

  shadow(
    gallery: string,
    overrule: readonly GateName[],
    signal: AbortSignal | undefined,
  ): AsyncGenerator<RolloutProgress, Rollout, void> {
    return this.#long(gallery, 'shadow', signal, async (onProgress, stop) => {
      const { store } = this.#context;
      const record = store.get(gallery);
      refuseUnless(gallery, record, ['fitted', 'gated', 'shadow']);
      if (record.state !== 'shadow') await openShadow(this.#context, gallery, record, overrule);
      await mapMissing(this.#context, gallery, onProgress, stop);
      return this.get(gallery);
    });
  }

  async canary(gallery: string, canary: NonNullable<Rollout['canary']>): Promise<Rollout> {
    return this.#alone(gallery, 'canary', async () => {
      const { store } = this.#context;
      const record = store.get(gallery);
      refuseUnless(gallery, record, ['shadow', 'canary']);
      refusePartial(this.#context, gallery);
      const groups = canary.groups.length > 0 ? `, and all of ${canary.groups.join(', ')}` : '';
      await store.put(gallery, {
        record: { ...record, state: 'canary', canary },
        event: `canary: the new space answers ${(100 * canary.share).toFixed(1)} % of the image probes${groups}`,
      });
      return this.get(gallery);
    });
  }

  async activate(
    gallery: string,
    { fuse, reEnrol }: { readonly fuse: boolean; readonly reEnrol: boolean },
  ): Promise<Rollout> {
    return this.#alone(gallery, 'activate', async () => {
      const { store, clock } = this.#context;
      const record = store.get(gallery);
      refuseUnless(gallery, record, ['shadow', 'canary']);
      if (fuse) await this.#refuseUnfusable(gallery, record);
      refusePartial(this.#context, gallery);
      const alarm = alarmOf(this.#countsOf(gallery));
      if (alarm !== null) throw new HarmonidError('GATE_REFUSED', alarm, { details: { gallery } });
      const recall = await recallBeside(this.#context, gallery);
      if (recall < recallMin) {
        throw new HarmonidError(
          'GATE_REFUSED',
          `the graph of the new space finds ${(100 * recall).toFixed(1)} % of what comparing with everything finds, ${100 * recallMin} % are wanted; wait until it is built`,
          { details: { gallery, recall, recallMin } },
        );
      }
      await store.put(gallery, {
        record: { ...record, state: 'active', canary: null, activatedAt: clock(), fused: fuse, reEnrols: reEnrol },
        event: `active: "${record.to.space}" serves${fuse ? ', both models judging together' : ''}${reEnrol ? ', confident probes are enrolled' : ''} (recall of its graph ${recall.toFixed(3)})`,
        lanes: [{ kind: 'switch', space: record.to.space }],
      });
      return this.get(gallery);
    });
  }

  /** @throws EMBEDDER_MISSING, ROLLOUT_STATE unless both models are at hand and the fit knows a threshold of both together */
  async #refuseUnfusable(gallery: string, record: RolloutRecord): Promise<void> {
    await bothEmbedders(this.#context, gallery, record);
    if (record.fit && record.fit.fusion.threshold > 0) return;
    throw refusal(gallery, 'has no threshold for both models together: the pairs are of too few people');
  }

  /** @param alarm why the machine does it by itself */
  async rollback(gallery: string, alarm: string | null = null): Promise<Rollout> {
    const running = this.#running.get(gallery);
    running?.abort.abort(new HarmonidError('CANCELLED', `${running.step} was ended by a rollback`));
    await running?.done;
    return this.#alone(gallery, 'rollback', async () => {
      const { index, store } = this.#context;
      const record = store.get(gallery);
      refuseUnless(gallery, record, ['draft', 'fitted', 'gated', 'shadow', 'canary', 'active']);
      const isActive = index.getGallery(gallery).space === record.to.space;
      // Whoever came since, and has no old vector, gets one: nobody is lost.
      if (isActive) await mapMissing(this.#context, gallery, () => undefined, undefined);
      const drop = { kind: 'drop', space: record.to.space } as const;
      const back = { kind: 'switch', space: record.from.space } as const;
      await store.put(gallery, {
        record: { ...record, state: 'rolled-back', canary: null, fused: false, reEnrols: false, alarm },
        event: alarm === null ? `rolled back: "${record.from.space}" serves` : `rolled back by itself: ${alarm}`,
        lanes: isActive ? [back, drop] : [drop],
      });
      return this.get(gallery);
    });
  }

  async complete(gallery: string, { now }: { readonly now: boolean }): Promise<Rollout> {
    return this.#alone(gallery, 'complete', async () => {
      const { store, clock } = this.#context;
      const record = store.get(gallery);
      refuseUnless(gallery, record, ['active', 'completing', 'complete']);
      if (record.state === 'complete') return this.get(gallery);
      const readyAt = (record.activatedAt ?? 0) + graceMs;
      if (!now && record.state === 'active' && clock() < readyAt) {
        throw refusal(
          gallery,
          `serves the new space since ${new Date(record.activatedAt ?? 0).toISOString()}; the old one is kept until ${new Date(readyAt).toISOString()}, unless it is to go now`,
        );
      }
      if (record.state === 'active') {
        await store.put(gallery, {
          record: { ...record, state: 'completing', fused: false, reEnrols: false },
          event: 'completing: the old vectors are being removed',
          lanes: [{ kind: 'drop', space: record.from.space }],
        });
      }
      await this.#finish(gallery);
      return this.get(gallery);
    });
  }

  /** Pairs and adapters have done what they were for. */
  async #finish(gallery: string): Promise<void> {
    const { index, store } = this.#context;
    await index.removePairs(gallery, {});
    const record = store.get(gallery);
    const { mapped } = await countTemplates(this.#context, gallery, record.to.space);
    const rest =
      mapped > 0
        ? `; ${mapped} templates stay mapped: before the next rollout their photos are to be enrolled again`
        : '';
    await store.put(gallery, {
      record: { ...record, state: 'complete' },
      event: `complete: the old vectors, the pairs and the adapters are gone${rest}`,
      documents: { ...RolloutStore.fitPeopleDocument([]), [adapterNames.forward]: null, [adapterNames.backward]: null },
    });
  }

  // ── Photos ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  backfill(
    gallery: string,
    samples: AsyncIterable<BackfillSample> | Iterable<BackfillSample>,
    options: SampleOptions<BackfillSample>,
  ): AsyncIterable<BackfillResult> {
    return backfill(this.#context, gallery, samples, options);
  }

  /** The least certain first. */
  async backfillOrder(gallery: string, limit: number): Promise<readonly BackfillCandidate[]> {
    return backfillOrder(this.#context, gallery, limit);
  }

  // ── Opening and closing ────────────────────────────────────────────────────────────────────────────────────────────

  /** Takes up what a process that died left undone, in the background. */
  resume(): void {
    const { index, store, onWarning } = this.#context;
    for (const { gallery, space, beside, templateCount } of index.listGalleries()) {
      const record = store.find(gallery);
      if (!record) continue;
      const isPartial = beside !== null && beside.templateCount !== templateCount && space !== record.to.space;
      const isCleared = record.state === 'completing' && beside === null;
      if (!isPartial && !isCleared) continue;
      this.#resuming = this.#resuming
        .then(async () => {
          if (this.#isClosing) return;
          await this.#drain(
            this.#long(gallery, resumedStep, undefined, async (onProgress, stop) => {
              if (isCleared) await this.#finish(gallery);
              else await mapMissing(this.#context, gallery, onProgress, stop);
            }),
          );
        })
        .catch((error: unknown) => {
          if (isHarmonidError(error) && (error.code === 'CANCELLED' || error.code === 'CLOSED')) return;
          onWarning('what a rollout had left undone could not be done; its next step tries again', { gallery, error });
        });
    }
  }

  async #drain(steps: AsyncGenerator<unknown, unknown, void>): Promise<void> {
    for (let next = await steps.next(); !next.done;) next = await steps.next();
  }

  /** Live probes that were kept longer than was agreed to. */
  async prunePairs(): Promise<void> {
    const { index } = this.#context;
    for (const { gallery } of index.listGalleries()) await pruneProbes(this.#context, gallery);
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    const running = [...this.#running.values()];
    for (const { abort } of running) abort.abort(new HarmonidError('CLOSED', 'the database is closed'));
    await Promise.all(running.map(({ done }) => done));
    await this.#resuming;
    await this.#context.adapters.close();
  }

  // ── Inside ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  async #alone<T>(gallery: string, step: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    await this.#endMapping(gallery);
    const other = this.#running.get(gallery);
    if (other) throw refusal(gallery, `is busy: ${other.step} is under way`, { step: other.step });
    const abort = new AbortController();
    const working = work(abort.signal);
    const done = working.then(
      () => undefined,
      () => undefined,
    );
    this.#running.set(gallery, { step, abort, done });
    try {
      return await working;
    } finally {
      this.#running.delete(gallery);
    }
  }

  /** What a former process had left undone gives way to a step, which does it, or says that it is to be done. */
  async #endMapping(gallery: string): Promise<void> {
    const running = this.#running.get(gallery);
    if (running?.step !== resumedStep) return;
    running.abort.abort(new HarmonidError('CANCELLED', 'another step began'));
    await running.done;
  }

  #long<T>(
    gallery: string,
    step: string,
    signal: AbortSignal | undefined,
    work: (onProgress: (progress: RolloutProgress) => void, signal: AbortSignal) => Promise<T>,
  ): AsyncGenerator<RolloutProgress, T, void> {
    return progressOf((onProgress, left) =>
      this.#alone(gallery, step, (own) =>
        work(onProgress, AbortSignal.any(signal ? [own, left, signal] : [own, left])),
      ),
    );
  }
}
