/**
 * The steps of rollouts over an open index.
 *
 * Promises: a step is refused before it changes anything, or it is done as a whole: what serves, what is kept and the journal change in one
 * transaction. One step of a gallery at a time; a rollback ends a long one that is under way. What a process that died left undone (mapping,
 * clearing) is taken up by `resume`.
 */
import { HarmonidError, isHarmonidError, throwIfAborted } from '../errors.js';
import { importItems } from '../import-stream.js';
import type { TwofoldTemplate } from '../index/index-api.js';
import { parseVector, squaredDistance, type UnitVector } from '../vector.js';
import { isRefusing } from './gates.js';
import { fillBeside } from './lane-fill.js';
import { startMigrateThread } from './migrate-thread.js';
import { makePairSet } from './pair-set.js';
import { progressOf } from './progress-stream.js';
import { mapVectors, type RolloutContext } from './rollout-context.js';
import type { FitOutcome, FitQuestion } from './rollout-fit.js';
import { adapterNames, noCounts, noDocuments, RolloutStore, type RolloutRecord } from './rollout-store.js';
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
import { embedTwice, type FaceImage } from './two-models.js';

/** After an activation the old vectors are kept so long at least, milliseconds. */
const graceMs = 7 * 24 * 60 * 60 * 1000;
const concurrency = 16;
/** Vectors that the new graph is tried with before it serves, and the share that it must find. */
const recallSamples = 200;
const recallMin = 0.95;

const ended: ReadonlySet<RolloutState> = new Set(['complete', 'rolled-back']);
/** Mapping that a process that died had left undone. */
const resumedStep = 'mapping';

/** How the items of a stream are taken: one that `parse` refuses is refused alone. */
export interface ItemOptions<Sample> {
  readonly parse: (sample: Sample) => Sample;
  readonly signal: AbortSignal | undefined;
}

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

  /** @param countsOf what live probes have shown, to the last one */
  constructor(context: RolloutContext, countsOf: (gallery: string) => ShadowCounts) {
    this.#context = context;
    this.#countsOf = countsOf;
  }

  // ── Looking ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** @throws ROLLOUT_NOT_FOUND */
  get(gallery: string): Rollout {
    const { index, store } = this.#context;
    const { shadowShare: _share, pairRetentionDays: _days, activatedAt: _at, ...record } = store.get(gallery);
    const people = new Set<number>();
    let pairs = 0;
    for (const { owner } of index.pairs(gallery, record.from.space, record.to.space)) {
      pairs++;
      people.add(owner);
    }
    return {
      gallery,
      ...record,
      shadow: this.#countsOf(gallery),
      pairs: { pairs, people: people.size },
      templates: this.#counts(gallery, record.to.space),
      journal: store.journal(gallery, record.startedAt),
    };
  }

  #counts(gallery: string, space: string): Rollout['templates'] {
    const { index } = this.#context;
    const view = index.getGallery(gallery);
    const counts = { templates: view.templateCount, mapped: 0, native: 0, reEmbedded: 0 };
    if (view.space !== space && view.beside?.space !== space) return counts;
    for (let after: Uint8Array | null = null, isLast = false; !isLast;) {
      const { templates, next } = index.templatesAfter(gallery, after, 1_000);
      for (const { origin, beside } of templates) {
        const inNew = view.space === space ? origin : beside?.origin;
        if (inNew === 'mapped') counts.mapped++;
        else if (inNew === 're-embedded') counts.reEmbedded++;
        else if (inNew === 'native') counts.native++;
      }
      after = next;
      isLast = next === null;
    }
    return counts;
  }

  /** @throws ROLLOUT_STATE before a fit */
  report(gallery: string): FitReport {
    const { store } = this.#context;
    store.get(gallery);
    const report = store.report(gallery);
    if (!report) throw this.#refusal(gallery, 'has no fit to report on; `rollout fit` makes one');
    return report;
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
        throw this.#refusal(gallery, `has a rollout to "${former.to.space}" in state ${former.state}`);
      }
      const to = 'pack' in wanted ? await this.#targetOf(wanted.pack) : { pack: null, ...wanted.target };
      if (to.space === view.space) {
        throw new HarmonidError('SPACE_MISMATCH', `gallery "${gallery}" is in space "${to.space}" already`, {
          details: { gallery, gallerySpace: view.space, targetSpace: to.space },
        });
      }
      const { mapped } = this.#counts(gallery, view.space);
      if (mapped > 0 && !mapMapped) {
        throw this.#refusal(
          gallery,
          `cannot begin: ${mapped} templates were mapped from a former model, and a map of a map is worse; enrol the photos of these people again, or allow it`,
          { mapped },
        );
      }
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

  async *addPairs(
    gallery: string,
    samples: AsyncIterable<PairSample> | Iterable<PairSample>,
    { parse, signal }: ItemOptions<PairSample>,
  ): AsyncIterable<PairResult> {
    const { index, store } = this.#context;
    const record = store.get(gallery);
    this.#refuseUnless(gallery, record, ['draft', 'fitted', 'gated', 'shadow', 'canary', 'active']);
    const items = itemsOf(samples, ({ person }) => person ?? '');
    const add = async (item: { readonly sample: PairSample }): Promise<boolean> => {
      const sample = parse(item.sample);
      const { from, to, imageDigest } = await this.#embedPair(gallery, record, sample, signal);
      const kept = await index.addPairs(gallery, [
        {
          person: sample.person ?? null,
          source: 'photos',
          imageDigest,
          from: { space: record.from.space, vector: from },
          to: { space: record.to.space, vector: to },
        },
      ]);
      return kept === 1;
    };
    for await (const { index: position, answer, error } of importItems(add, items, { concurrency, signal })) {
      yield error ? { index: position, error } : { index: position, added: answer };
    }
  }

  async #embedPair(
    gallery: string,
    { from, to }: RolloutRecord,
    { vectors, image, alignedCrop }: PairSample,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly from: UnitVector; readonly to: UnitVector; readonly imageDigest: string | null }> {
    if (vectors) {
      return {
        from: parseVector(vectors.from, from.dimensions, `space "${from.space}"`),
        to: parseVector(vectors.to, to.dimensions, `space "${to.space}"`),
        imageDigest: null,
      };
    }
    const [before, after] = await this.#bothEmbedders(gallery, from, to);
    return embedTwice(before, after, faceImage(image, alignedCrop), signal);
  }

  /** @throws EMBEDDER_MISSING */
  async #bothEmbedders(gallery: string, from: RolloutTarget, to: RolloutTarget) {
    const { embedders } = this.#context;
    const [before, after] = [await embedders.inSpace(from.space), await embedders.inSpace(to.space)];
    if (before && after) return [before, after] as const;
    throw new HarmonidError(
      'EMBEDDER_MISSING',
      `the rollout of gallery "${gallery}" is between spaces "${from.space}" and "${to.space}"; no model pack here embeds in "${before ? to.space : from.space}": give vectors instead of images`,
      { details: { gallery, space: before ? to.space : from.space } },
    );
  }

  // ── Fitting ────────────────────────────────────────────────────────────────────────────────────────────────────────

  fit(
    gallery: string,
    settings: Pick<FitQuestion, 'far' | 'seed' | 'estimators'>,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<RolloutProgress, Rollout, void> {
    return this.#long(gallery, 'fit', signal, async (onProgress, stop) => {
      const { store } = this.#context;
      const record = store.get(gallery);
      this.#refuseUnless(gallery, record, ['draft', 'fitted', 'gated']);
      const { question, names } = this.#question(gallery, record, settings);
      const thread = startMigrateThread();
      let outcome: FitOutcome;
      try {
        outcome = await thread.call('fit', question, { onProgress, signal: stop });
      } finally {
        await thread.close();
      }
      throwIfAborted(stop);
      const { forward, backward } = outcome;
      const lost = outcome.report.lost.map((each) => ({ ...each, person: names.get(each.person) ?? each.person }));
      const report: FitReport = { gallery, ...outcome.report, lost };
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
          [adapterNames.forward]: forward.network,
          [adapterNames.backward]: backward.network,
        },
      });
      return this.get(gallery);
    });
  }

  /** People stand as their ordinals in what is fitted; `names` has the ids of those who are enrolled. */
  #question(
    gallery: string,
    { from, to }: RolloutRecord,
    settings: Pick<FitQuestion, 'far' | 'seed' | 'estimators'>,
  ): { readonly question: FitQuestion; readonly names: ReadonlyMap<string, string> } {
    const { index, clock } = this.#context;
    const pairs: { person: string; from: UnitVector; to: UnitVector }[] = [];
    const names = new Map<string, string>();
    const groups: Record<string, readonly string[]> = {};
    let [own, matching] = [0, 0];
    for (const pair of index.pairs(gallery, from.space, to.space)) {
      const person = String(pair.owner);
      pairs.push({ person, from: pair.from, to: pair.to });
      const identity = names.get(person) ?? index.identityOf(gallery, pair.owner);
      if (identity === undefined) continue;
      names.set(person, identity);
      groups[person] ??= index.getIdentity(gallery, identity).groups;
      if (own >= belongingSamples) continue;
      const verdict = this.#isOwn(gallery, from.space, identity, pair.from);
      if (verdict === null) continue;
      own++;
      if (verdict) matching++;
    }
    return {
      names,
      question: {
        ...settings,
        pairs: makePairSet(from, to, pairs),
        threshold: index.getGallery(gallery).threshold,
        groups,
        belonging: own === 0 ? null : matching / own,
        nowMs: clock(),
      },
    };
  }

  /** Null of somebody without templates. */
  #isOwn(gallery: string, space: string, identity: string, probe: UnitVector): boolean | null {
    try {
      return this.#context.index.verify({ gallery, space, identity, probe }).decision === 'match';
    } catch (error) {
      if (isHarmonidError(error) && error.code === 'TEMPLATE_NOT_FOUND') return null;
      throw error;
    }
  }

  // ── Serving ────────────────────────────────────────────────────────────────────────────────────────────────────────

  shadow(
    gallery: string,
    request: {
      readonly overrule: readonly GateName[];
      readonly share: number;
      readonly pairRetentionDays: number | null;
    },
    signal: AbortSignal | undefined,
  ): AsyncGenerator<RolloutProgress, Rollout, void> {
    return this.#long(gallery, 'shadow', signal, async (onProgress, stop) => {
      const { store } = this.#context;
      const record = store.get(gallery);
      this.#refuseUnless(gallery, record, ['fitted', 'gated', 'shadow']);
      if (record.state !== 'shadow') await this.#openShadow(gallery, record, request);
      await this.#fill(gallery, onProgress, stop);
      return this.get(gallery);
    });
  }

  async #openShadow(
    gallery: string,
    record: RolloutRecord,
    request: {
      readonly overrule: readonly GateName[];
      readonly share: number;
      readonly pairRetentionDays: number | null;
    },
  ): Promise<void> {
    const { store } = this.#context;
    const { fit, to } = record;
    if (!fit) throw this.#refusal(gallery, 'has no adapter yet');
    const gates = fit.gates.map((gate) => ({ ...gate, overruled: request.overrule.includes(gate.gate) }));
    const refusing = gates.filter(isRefusing);
    if (refusing.length > 0) {
      const [first] = refusing;
      throw new HarmonidError(
        'GATE_REFUSED',
        `the adapter of gallery "${gallery}" may not serve: ${refusing.map(({ gate }) => gate).join(', ')} (${first?.message})`,
        { details: { gallery, gates: refusing } },
      );
    }
    const overruled = gates.filter(({ gate, verdict }) => request.overrule.includes(gate) && verdict !== 'passed');
    const native = fit.cells.find(({ probe, template }) => probe === 'new' && template === 'native');
    const isMeasured = native?.support === 'measured';
    const report = store.report(gallery);
    const mapped = report?.calibration ?? [];
    await store.put(gallery, {
      record: {
        ...record,
        state: 'shadow',
        fit: { ...fit, gates },
        shadowShare: request.share,
        pairRetentionDays: request.pairRetentionDays,
      },
      event:
        overruled.length === 0
          ? 'shadow: the gallery is being mapped'
          : `shadow, overruling ${overruled.map(({ gate }) => gate).join(', ')}: the gallery is being mapped`,
      documents: { ...noCounts, ...(report && RolloutStore.reportDocument({ ...report, gates })) },
      lanes: [
        {
          kind: 'open',
          lane: {
            space: to.space,
            dimensions: to.dimensions,
            threshold: isMeasured ? native.threshold : to.threshold,
            thresholdSource: isMeasured ? `rollout: FAR ${fit.far} on the pairs' people` : "the model pack's",
            ...(mapped.length > 0 && { calibration: { mapped } }),
          },
        },
      ],
    });
  }

  /** Maps whatever has no vector beside. */
  async #fill(
    gallery: string,
    onProgress: (progress: RolloutProgress) => void,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { index, store } = this.#context;
    const record = store.get(gallery);
    const { beside } = index.getGallery(gallery);
    if (!beside) return;
    const direction = beside.space === record.to.space ? 'forward' : 'backward';
    const map = (vectors: readonly UnitVector[]): Promise<readonly UnitVector[]> =>
      mapVectors(this.#context, gallery, record, direction, vectors);
    const isWhole = await fillBeside(index, gallery, beside.space, map, {
      onProgress: (done, total) => onProgress({ stage: 'map', done, total }),
      ...(signal && { signal }),
    });
    if (!isWhole) throw this.#refusal(gallery, 'gets new templates faster than they are mapped; try again');
  }

  async canary(gallery: string, canary: NonNullable<Rollout['canary']>): Promise<Rollout> {
    return this.#alone(gallery, 'canary', async () => {
      const { store } = this.#context;
      const record = store.get(gallery);
      this.#refuseUnless(gallery, record, ['shadow', 'canary']);
      this.#refusePartial(gallery);
      const groups = canary.groups.length > 0 ? `, and all of ${canary.groups.join(', ')}` : '';
      await store.put(gallery, {
        record: { ...record, state: 'canary', canary },
        event: `canary: the new space answers ${(100 * canary.share).toFixed(1)} % of the image probes${groups}`,
      });
      return this.get(gallery);
    });
  }

  async activate(gallery: string): Promise<Rollout> {
    return this.#alone(gallery, 'activate', async () => {
      const { store, clock } = this.#context;
      const record = store.get(gallery);
      this.#refuseUnless(gallery, record, ['shadow', 'canary']);
      this.#refusePartial(gallery);
      const recall = await this.#recallBeside(gallery);
      if (recall < recallMin) {
        throw new HarmonidError(
          'GATE_REFUSED',
          `the graph of the new space finds ${(100 * recall).toFixed(1)} % of what comparing with everything finds, ${100 * recallMin} % are wanted; wait until it is built`,
          { details: { gallery, recall, recallMin } },
        );
      }
      await store.put(gallery, {
        record: { ...record, state: 'active', canary: null, activatedAt: clock() },
        event: `active: "${record.to.space}" serves (recall of its graph ${recall.toFixed(3)})`,
        lanes: [{ kind: 'switch', space: record.to.space }],
      });
      return this.get(gallery);
    });
  }

  #refusePartial(gallery: string): void {
    const { templateCount, beside } = this.#context.index.getGallery(gallery);
    if (beside?.templateCount === templateCount) return;
    throw this.#refusal(
      gallery,
      `has ${beside?.templateCount ?? 0} of ${templateCount} templates in the new space; \`rollout shadow\` goes on mapping`,
    );
  }

  async #recallBeside(gallery: string): Promise<number> {
    const { index } = this.#context;
    const { beside } = index.getGallery(gallery);
    if (!beside) return 0;
    const { templates } = index.templatesAfter(gallery, null, recallSamples);
    let [asked, agreed] = [0, 0];
    for (const template of templates) {
      const probe = template.beside?.vector;
      if (!probe) continue;
      const [graph, exact] = await Promise.all(
        [false, true].map((isExact) =>
          index.search({ gallery, space: beside.space, probe, k: 1, exact: isExact, ef: 128 }),
        ),
      );
      asked++;
      // Two of the same distance are as good as one another.
      if (graph?.candidates[0]?.distance === exact?.candidates[0]?.distance) agreed++;
    }
    return asked === 0 ? 1 : agreed / asked;
  }

  /** @param alarm why the machine does it by itself */
  async rollback(gallery: string, alarm: string | null = null): Promise<Rollout> {
    const running = this.#running.get(gallery);
    running?.abort.abort(new HarmonidError('CANCELLED', `${running.step} was ended by a rollback`));
    await running?.done;
    return this.#alone(gallery, 'rollback', async () => {
      const { index, store } = this.#context;
      const record = store.get(gallery);
      this.#refuseUnless(gallery, record, ['draft', 'fitted', 'gated', 'shadow', 'canary', 'active']);
      const isActive = index.getGallery(gallery).space === record.to.space;
      // Whoever came since, and has no old vector, gets one: nobody is lost.
      if (isActive) await this.#fill(gallery, () => undefined, undefined);
      const drop = { kind: 'drop', space: record.to.space } as const;
      const back = { kind: 'switch', space: record.from.space } as const;
      await store.put(gallery, {
        record: { ...record, state: 'rolled-back', canary: null, alarm },
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
      this.#refuseUnless(gallery, record, ['active', 'completing']);
      const readyAt = (record.activatedAt ?? 0) + graceMs;
      if (!now && record.state === 'active' && clock() < readyAt) {
        throw this.#refusal(
          gallery,
          `serves the new space since ${new Date(record.activatedAt ?? 0).toISOString()}; the old one is kept until ${new Date(readyAt).toISOString()}, unless it is to go now`,
        );
      }
      if (record.state === 'active') {
        await store.put(gallery, {
          record: { ...record, state: 'completing' },
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
    const { mapped } = this.#counts(gallery, record.to.space);
    const rest =
      mapped > 0
        ? `; ${mapped} templates stay mapped: before the next rollout their photos are to be enrolled again`
        : '';
    await store.put(gallery, {
      record: { ...record, state: 'complete' },
      event: `complete: the old vectors, the pairs and the adapters are gone${rest}`,
      documents: { [adapterNames.forward]: null, [adapterNames.backward]: null },
    });
  }

  // ── Photos ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  async *backfill(
    gallery: string,
    samples: AsyncIterable<BackfillSample> | Iterable<BackfillSample>,
    { parse, signal }: ItemOptions<BackfillSample>,
  ): AsyncIterable<BackfillResult> {
    const record = this.#context.store.get(gallery);
    this.#refuseUnless(gallery, record, ['shadow', 'canary', 'active']);
    const items = itemsOf(samples, ({ identity }) => identity);
    const replace = async (item: { readonly sample: BackfillSample }): Promise<number> => {
      const sample = parse(item.sample);
      const embedders = await this.#bothEmbedders(gallery, record.from, record.to);
      const face = await embedTwice(...embedders, faceImage(sample.image, sample.alignedCrop), signal);
      return this.#replaceMapped(gallery, record, sample.identity, face);
    };
    for await (const result of importItems(replace, items, { concurrency, signal })) {
      const { index, identity } = result;
      yield result.error ? { index, identity, error: result.error } : { index, identity, replaced: result.answer };
    }
  }

  /** The template of that very photo, or the nearest mapped one. @returns how many were replaced */
  async #replaceMapped(
    gallery: string,
    { from, to }: RolloutRecord,
    identity: string,
    face: { readonly from: UnitVector; readonly to: UnitVector; readonly imageDigest: string },
  ): Promise<number> {
    const { index } = this.#context;
    const isNew = index.getGallery(gallery).space === to.space;
    const vectorsOf = (template: TwofoldTemplate) => {
      const serving = { vector: template.vector, origin: template.origin };
      return isNew ? { old: template.beside, fresh: serving } : { old: serving, fresh: template.beside };
    };
    const mapped = index
      .templatesOf(gallery, identity)
      .filter((template) => vectorsOf(template).fresh?.origin === 'mapped');
    const distanceOf = (template: TwofoldTemplate): number => {
      const { old } = vectorsOf(template);
      return template.imageDigest === face.imageDigest ? -1 : old ? squaredDistance(old.vector, face.from) : 4;
    };
    const [nearest] = mapped.toSorted((one, other) => distanceOf(one) - distanceOf(other));
    if (!nearest) return 0;
    if (distanceOf(nearest) > from.threshold) {
      throw new HarmonidError(
        'FACE_REFUSED',
        `the face is at distance ${distanceOf(nearest).toFixed(3)} of the nearest template of "${identity}", beyond the threshold ${from.threshold}`,
        { details: { gallery, identity, distance: distanceOf(nearest), threshold: from.threshold } },
      );
    }
    const { old } = vectorsOf(nearest);
    const { quality, imageDigest, enrolledAt } = nearest;
    const number = await index.replaceTemplate(gallery, nearest.owner, nearest.template, {
      vector: face.to,
      space: to.space,
      origin: 're-embedded',
      ...(old && { beside: { ...old, space: from.space } }),
      quality,
      imageDigest,
      enrolledAt,
    });
    return number === null ? 0 : 1;
  }

  /** By how far a template is from itself when it is mapped there and back: what the adapter does not know comes back elsewhere. */
  async backfillOrder(gallery: string, limit: number): Promise<readonly BackfillCandidate[]> {
    const { index, store } = this.#context;
    const record = store.get(gallery);
    this.#refuseUnless(gallery, record, ['shadow', 'canary', 'active']);
    const isNew = index.getGallery(gallery).space === record.to.space;
    const worst = new Map<number, number>();
    for (let after: Uint8Array | null = null, isLast = false; !isLast;) {
      const { templates, next } = index.templatesAfter(gallery, after, 256);
      const mapped = templates.flatMap(({ owner, vector, origin, beside }) => {
        const [old, fresh] = isNew ? [beside, { vector, origin }] : [{ vector, origin }, beside];
        return old && fresh?.origin === 'mapped' ? [{ owner, old: old.vector, fresh: fresh.vector }] : [];
      });
      const back = await mapVectors(
        this.#context,
        gallery,
        record,
        'backward',
        mapped.map(({ fresh }) => fresh),
      );
      mapped.forEach(({ owner, old }, i) => {
        const again = back[i];
        if (again) worst.set(owner, Math.max(worst.get(owner) ?? 0, squaredDistance(old, again)));
      });
      after = next;
      isLast = next === null;
    }
    return [...worst]
      .toSorted(([, one], [, other]) => other - one)
      .slice(0, limit)
      .flatMap(([owner, uncertainty]) => {
        const identity = index.identityOf(gallery, owner);
        return identity === undefined ? [] : [{ identity, uncertainty }];
      });
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
          if (isCleared) await this.#finish(gallery);
          else
            await this.#drain(this.#long(gallery, resumedStep, undefined, (on, stop) => this.#fill(gallery, on, stop)));
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

  async close(): Promise<void> {
    const running = [...this.#running.values()];
    for (const { abort } of running) abort.abort(new HarmonidError('CLOSED', 'the database is closed'));
    await Promise.all(running.map(({ done }) => done));
    await this.#resuming;
    await this.#context.adapters.close();
  }

  // ── Inside ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  #refuseUnless(gallery: string, { state }: RolloutRecord, allowed: readonly RolloutState[]): void {
    if (allowed.includes(state)) return;
    throw this.#refusal(gallery, `is in state ${state}; this wants ${allowed.join(', ')}`, { state, allowed });
  }

  #refusal(gallery: string, what: string, details: object = {}): HarmonidError {
    return new HarmonidError('ROLLOUT_STATE', `the rollout of gallery "${gallery}" ${what}`, {
      details: { gallery, ...details },
    });
  }

  async #alone<T>(gallery: string, step: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    await this.#endMapping(gallery);
    const other = this.#running.get(gallery);
    if (other) throw this.#refusal(gallery, `is busy: ${other.step} is under way`, { step: other.step });
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

/** Pairs whose people are looked up. */
const belongingSamples = 500;

function faceImage(image: Uint8Array | undefined, alignedCrop: Uint8Array | undefined): FaceImage {
  return alignedCrop ? { crop: { bytes: alignedCrop, alignment: 'arcface112' } } : { image };
}

async function* itemsOf<T>(
  samples: AsyncIterable<T> | Iterable<T>,
  identityOf: (sample: T) => string,
): AsyncIterable<{ readonly identity: string; readonly sample: T }> {
  for await (const sample of samples) yield { identity: identityOf(sample), sample };
}
