/**
 * What a rollout changes at the door: enrolments leave a vector in both spaces, a share of the probes is answered by the new one, and live probes
 * go through both models to compare them.
 *
 * Comparing is done after the answer and beside it: it never makes a caller wait, and is left out when too much of it is in work.
 */
import type { EmbeddedImage, Embedder } from '../embedder/embedder.js';
import type { LaneVector, SearchAnswer, SearchRequest, VerifyAnswer } from '../index/index-api.js';
import type { Gallery } from '../index/records.js';
import type { Random } from '../random.js';
import { alarmOf, recallAlarm, shiftAlarm } from './alarm.js';
import type { UnitVector } from '../vector.js';
import { nearestOf, searchFused, type FusedProbe } from './fused-search.js';
import { replaceMapped } from './rollout-backfill.js';
import { mapVectors, type RolloutContext } from './rollout-context.js';
import type { RolloutRecord } from './rollout-store.js';
import { ScoreWatch } from './score-watch.js';
import type { Fusion, ShadowCounts } from './rollout.js';
import { embed, sameFace, type FaceImage } from './two-models.js';
import type { Box } from '../embedder/face.js';

/** A sample as it was embedded in one space; `face` is null when it came as a vector. */
export interface SeenSample {
  readonly space: string;
  readonly vector: UnitVector;
  readonly box: Box | null;
  /** The image that it came from. */
  readonly image: FaceImage | null;
  /** Whether no reason speaks against enrolling it. */
  readonly isGood: boolean;
}

export interface DoorOptions {
  readonly random: Random;
  /** Rolls a gallery back, and why. */
  readonly onAlarm: (gallery: string, alarm: string) => void;
}

/** Comparisons in work at once. */
const comparisonsMax = 4;
/** Comparisons after which what was counted is written down. */
const putEvery = 50;
/** Whom a space names, and how near the nearest is. */
interface Answer {
  readonly found: string | null;
  readonly distance: number | null;
}

export class Door {
  readonly #context: RolloutContext;
  readonly #options: DoorOptions;
  #inWork = 0;
  /** By gallery and the time at which its rollout began. */
  readonly #counts = new Map<string, { readonly startedAt: number; readonly counts: ShadowCounts }>();

  /** Of an image by space: an answer, a comparison and each of its faces ask for the same. */
  readonly #embedded = new WeakMap<FaceImage, Map<string, Promise<EmbeddedImage>>>();
  readonly #watches = new Map<string, { readonly startedAt: number; readonly watch: ScoreWatch }>();

  constructor(context: RolloutContext, options: DoorOptions) {
    this.#context = context;
    this.#options = options;
  }

  /** The same face in the gallery's other space; undefined when it has none. */
  async beside(gallery: Gallery, sample: SeenSample): Promise<LaneVector | undefined> {
    if (!gallery.beside) return undefined;
    const space = sample.space === gallery.space ? gallery.beside.space : gallery.space;
    const embedded = sample.image && (await this.#embedIn(space, sample.image, sample.box));
    if (embedded) return { space, vector: embedded, origin: 'native' };
    const record = this.#context.store.find(gallery.gallery);
    if (!record) return undefined;
    const direction = space === record.to.space ? 'forward' : 'backward';
    const [vector] = await mapVectors(this.#context, gallery.gallery, record, direction, [sample.vector]);
    return vector && { space, vector, origin: 'mapped' };
  }

  /** Null when no model here embeds in that space, or it does not find the face. */
  async #embedIn(space: string, image: FaceImage, box: Box | null): Promise<UnitVector | null> {
    const embedder: Embedder | null = await this.#context.embedders.inSpace(space);
    // A chip of the one model is none of the other's.
    if (!embedder || image.crop?.alignment === 'chip') return null;
    const embedded = await this.#embedOnce(embedder, image);
    const face = box ? sameFace(embedded, box) : embedded.faces[0];
    return face?.vector ?? null;
  }

  #embedOnce(embedder: Embedder, image: FaceImage): Promise<EmbeddedImage> {
    const bySpace = this.#embedded.get(image) ?? new Map<string, Promise<EmbeddedImage>>();
    this.#embedded.set(image, bySpace);
    const { space } = embedder.info;
    const known = bySpace.get(space);
    if (known) return known;
    const embedding = embed(embedder, image);
    bySpace.set(space, embedding);
    return embedding;
  }

  /** The space that answers an image probe. */
  spaceFor(gallery: Gallery, groups: readonly string[] | undefined): string {
    if (!gallery.beside) return gallery.space;
    const record = this.#context.store.find(gallery.gallery);
    const canary = record?.state === 'canary' ? record.canary : null;
    if (!canary || !record) return gallery.space;
    const isChosen = groups?.some((group) => canary.groups.includes(group)) ?? false;
    return isChosen || this.#options.random.uniform() < canary.share ? record.to.space : gallery.space;
  }

  /**
   * A probe of the new space as one of the old space, while templates are still being mapped and the new space cannot answer: with the threshold
   * that the fit found for such probes. Null where it can, or where the fit could not tell a threshold.
   */
  async bridge(
    gallery: Gallery,
    { space, vector }: Pick<LaneVector, 'space' | 'vector'>,
  ): Promise<{ readonly space: string; readonly vector: UnitVector; readonly threshold: number } | null> {
    const record = this.#context.store.find(gallery.gallery);
    if (record?.state !== 'shadow' || space !== record.to.space || this.serves(gallery, space)) return null;
    const cell = record.fit?.cells.find(({ probe }) => probe === 'mapped-back');
    if (cell?.support !== 'measured') return null;
    const [mapped] = await mapVectors(this.#context, gallery.gallery, record, 'backward', [vector]);
    return mapped ? { space: record.from.space, vector: mapped, threshold: cell.threshold } : null;
  }

  /** Whether a vector in that space can be searched for: all people are there. */
  serves(gallery: Gallery, space: string): boolean {
    if (space === gallery.space) return true;
    return gallery.beside?.space === space && gallery.beside.templateCount === gallery.templateCount;
  }

  /** The answer of both models together to an image probe of a gallery where an operator wants that; null where not, or where one cannot see it. */
  async searchFused(
    gallery: Gallery,
    sample: SeenSample,
    search: Omit<SearchRequest, 'space' | 'probe' | 'threshold'>,
  ): Promise<SearchAnswer | null> {
    const fusing = await this.#fusing(gallery, sample);
    return fusing && searchFused(this.#context, fusing.record, fusing.fusion, fusing.probe, search);
  }

  /** As `searchFused`, of one person; null also of somebody who has nothing in both spaces. */
  async verifyFused(gallery: Gallery, sample: SeenSample, identity: string): Promise<VerifyAnswer | null> {
    const fusing = await this.#fusing(gallery, sample);
    if (!fusing) return null;
    const { record, fusion, probe } = fusing;
    const nearest = nearestOf(this.#context.index, gallery.gallery, record.to.space, fusion, probe, identity);
    if (!nearest) return null;
    const { threshold } = fusion;
    return { ...nearest, threshold, decision: nearest.distance <= threshold ? 'match' : 'no-match' };
  }

  async #fusing(
    gallery: Gallery,
    sample: SeenSample,
  ): Promise<{ readonly record: RolloutRecord; readonly fusion: Fusion; readonly probe: FusedProbe } | null> {
    const record = gallery.beside && this.#context.store.find(gallery.gallery);
    const fusion = record?.fused ? record.fit?.fusion : undefined;
    if (!record || !fusion || !gallery.beside || !sample.image) return null;
    const space = sample.space === gallery.space ? gallery.beside.space : gallery.space;
    const other = await this.#embedIn(space, sample.image, sample.box);
    if (!other) return null;
    const isOld = sample.space === record.from.space;
    return {
      record,
      fusion,
      probe: isOld ? { old: sample.vector, fresh: other } : { old: other, fresh: sample.vector },
    };
  }

  /** Puts a live probe through both models: to compare what both spaces say, and to keep it as a pair. Returns at once. */
  compare(gallery: Gallery, sample: SeenSample, identity: string | null): void {
    const record = this.#context.store.find(gallery.gallery);
    if (!record || !['draft', 'fitted', 'gated', 'shadow', 'canary', 'active'].includes(record.state)) return;
    if (!gallery.beside && record.pairRetentionDays === null) return;
    if (!sample.image || this.#inWork >= comparisonsMax) return;
    if (this.#options.random.uniform() >= record.shadowShare) return;
    this.#inWork++;
    this.#compare(gallery, record, sample, identity)
      .catch((error: unknown) => {
        const { index, store, onWarning } = this.#context;
        const now = index.findGallery(gallery.gallery) && store.find(gallery.gallery);
        // A step was taken meanwhile: what was to be compared may be gone.
        if (now?.state !== record.state) return;
        onWarning('a live probe could not be compared in both spaces of a rollout', {
          gallery: gallery.gallery,
          error,
        });
      })
      .finally(() => this.#inWork--);
  }

  async #compare(gallery: Gallery, record: RolloutRecord, sample: SeenSample, identity: string | null): Promise<void> {
    const { index, store } = this.#context;
    const name = gallery.gallery;
    const isComparable = this.serves(gallery, record.to.space);
    const isKept = record.pairRetentionDays !== null && identity !== null;
    if ((!isComparable && !isKept) || !sample.image) return;
    const isOld = sample.space === record.from.space;
    const other = await this.#embedIn(isOld ? record.to.space : record.from.space, sample.image, sample.box);
    if (!other) return;
    const [old, fresh] = isOld ? [sample.vector, other] : [other, sample.vector];
    if (isKept) {
      await index.addPairs(name, [
        {
          person: identity,
          source: 'probe',
          imageDigest: null,
          from: { space: record.from.space, vector: old },
          to: { space: record.to.space, vector: fresh },
        },
      ]);
    }
    if (!isComparable) return;
    const answers = await Promise.all(
      (
        [
          [record.from.space, old],
          [record.to.space, fresh],
        ] as const
      ).map(([in_, probe]) => index.search({ gallery: name, space: in_, probe, k: 1, exact: false, ef: 128 })),
    );
    const [before, after] = answers.map(({ decision, candidates }) => ({
      found: decision === 'match' ? (candidates[0]?.identity ?? null) : null,
      distance: candidates[0]?.distance ?? null,
    }));
    if (!before || !after) return;
    await this.#count(name, before, after);
    if (record.reEnrols && sample.isGood) await this.#reEnrol(name, record, { from: old, to: fresh }, before, after);
    if (before.found !== null && after.distance !== null) this.#watchOf(name, record).add(after.distance);
    const state = store.find(name)?.state;
    if (state !== 'canary' && state !== 'active') return;
    const alarm =
      alarmOf(this.countsOf(name)) ??
      shiftAlarm(this.#watchOf(name, record).ratio) ??
      (state === 'active' ? await this.#recallAlarm(name) : null);
    if (alarm !== null) this.#options.onAlarm(name, alarm);
  }

  #watchOf(gallery: string, { startedAt }: RolloutRecord): ScoreWatch {
    const known = this.#watches.get(gallery);
    if (known?.startedAt === startedAt) return known.watch;
    const watch = new ScoreWatch();
    this.#watches.set(gallery, { startedAt, watch });
    return watch;
  }

  /** Asked now and then: it is of the whole gallery, not of one probe. */
  async #recallAlarm(gallery: string): Promise<string | null> {
    if (this.countsOf(gallery).compared % putEvery !== 0) return null;
    const stats = (await this.#context.index.stats()).find((one) => one.gallery === gallery);
    return stats ? recallAlarm(stats.graph) : null;
  }

  /** A probe of which the old model is twice as sure as a match asks, and the new one says the same, is a photo to be had. */
  async #reEnrol(
    gallery: string,
    record: RolloutRecord,
    face: { readonly from: UnitVector; readonly to: UnitVector },
    before: Answer,
    after: Answer,
  ): Promise<void> {
    const isSure = before.distance !== null && before.distance <= record.from.threshold / 2;
    if (!isSure || before.found === null || before.found !== after.found) return;
    await replaceMapped(this.#context, gallery, record, before.found, { ...face, imageDigest: null });
  }

  async #count(gallery: string, before: Answer, after: Answer): Promise<void> {
    const { store } = this.#context;
    const known = this.countsOf(gallery);
    const compared = known.compared + 1;
    const mean = (former: number | null, value: number | null): number | null =>
      value === null ? former : (former ?? value) + (value - (former ?? value)) / compared;
    const counts: ShadowCounts = {
      compared,
      negativeFlips: known.negativeFlips + (before.found !== null && after.found !== before.found ? 1 : 0),
      positiveFlips: known.positiveFlips + (before.found === null && after.found !== null ? 1 : 0),
      bothFound: known.bothFound + (before.found !== null && after.found === before.found ? 1 : 0),
      meanOld: mean(known.meanOld, before.distance),
      meanNew: mean(known.meanNew, after.distance),
    };
    this.#counts.set(gallery, { startedAt: store.get(gallery).startedAt, counts });
    if (compared % putEvery === 0) await store.putCounts(gallery, counts);
  }

  /** What was counted of the newest rollout, also what is not written yet. */
  countsOf(gallery: string): ShadowCounts {
    const { store } = this.#context;
    const known = this.#counts.get(gallery);
    if (known && known.startedAt === store.find(gallery)?.startedAt) return known.counts;
    return store.counts(gallery) ?? noCounts;
  }
}

const noCounts: ShadowCounts = {
  compared: 0,
  negativeFlips: 0,
  positiveFlips: 0,
  bothFound: 0,
  meanOld: null,
  meanNew: null,
};
