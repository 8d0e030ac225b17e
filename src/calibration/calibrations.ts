/**
 * Thresholds of galleries from the error rates that their operators want.
 *
 * A gallery has targets (FPIR of a search, FMR of a verification). Once it is calibrated, a search takes the threshold that gives the wanted FPIR among as many identities as are
 * searched, all of the gallery or a group of it, and a verification that of the wanted FMR; the gallery's own threshold, which finds duplicates, is that of a search in all of it. Without a
 * target, a calibration tells rates and decides nothing. When a gallery with a target has grown by a quarter since it was calibrated, it is calibrated again, in the background.
 */
import { isHarmonidError } from '../errors.js';
import type { IdentityIndex, LaneChange } from '../index/index-api.js';
import type { Gallery } from '../index/records.js';
import { fitInThread } from './calibrate-thread.js';
import { CalibrationStore } from './calibration-store.js';
import { thresholdFor, type GalleryCalibration } from './gallery-calibration.js';
import type { ClosePair, GivenFaces } from './impostor-sample.js';
import { readTemplates, type GivenProbe } from './template-reading.js';

export interface CalibrationsOptions {
  readonly index: IdentityIndex;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Told of a gallery that could not be calibrated again in the background. */
  readonly onWarning: (message: string, facts: object) => void;
}

export interface CalibrateQuestion {
  readonly gallery: string;
  /** Default: the one that serves. */
  readonly space?: string | undefined;
  /** Faces beside the enrolled ones; of each person the first is taken. */
  readonly given?: readonly GivenProbe[] | undefined;
  readonly onProgress?: ((share: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Two identities that seem to be one person. */
export interface SamePeople {
  readonly identities: readonly [string, string];
  /** Squared L2. */
  readonly distance: number;
}

export interface CalibrateOutcome {
  /** Null when there are too few people to speak of rates; then everything is as it was. */
  readonly calibration: GalleryCalibration | null;
  readonly probeCount: number;
  /** Nearest first. */
  readonly samePeople: readonly SamePeople[];
}

/** Probes times templates: some twenty seconds of one core. */
const comparisonsMax = 2e8;
/** Everything random is drawn from it, so that the same gallery gives the same figures. */
const seed = 1;
/** Of the identities at the last calibration. */
const growthMax = 1.25;

export class Calibrations {
  readonly #options: CalibrationsOptions;
  readonly #store: CalibrationStore;
  /** By gallery. */
  readonly #running = new Map<string, { readonly abort: AbortController; readonly done: Promise<void> }>();

  constructor(options: CalibrationsOptions) {
    this.#options = options;
    this.#store = new CalibrationStore(options.index);
  }

  /** Null when there is none in that space. @throws GALLERY_NOT_FOUND */
  find(gallery: string, space: string): GalleryCalibration | null {
    return this.#store.find(gallery, space);
  }

  /** Of a search among so many identities; undefined: the gallery's own. */
  searchThreshold({ gallery, fpirTarget }: Gallery, space: string): ((identityCount: number) => number) | undefined {
    const calibration = fpirTarget === null ? null : this.find(gallery, space);
    if (fpirTarget === null || calibration === null) return undefined;
    return (identityCount) => thresholdFor(calibration, 'fpir', fpirTarget, Math.max(1, identityCount)).threshold;
  }

  /** Undefined: the gallery's own. */
  verificationThreshold({ gallery, fmrTarget }: Gallery, space: string): number | undefined {
    const calibration = fmrTarget === null ? null : this.find(gallery, space);
    if (fmrTarget === null || calibration === null) return undefined;
    return thresholdFor(calibration, 'fmr', fmrTarget, 1).threshold;
  }

  /** @throws GALLERY_NOT_FOUND, SPACE_MISMATCH, CANCELLED, DEADLINE_EXCEEDED, DISK_FULL */
  async calibrate({
    gallery,
    space: wanted,
    given = [],
    onProgress,
    signal,
  }: CalibrateQuestion): Promise<CalibrateOutcome> {
    const { index, clock } = this.#options;
    const record = index.getGallery(gallery);
    const space = wanted ?? record.space;
    const read = await readTemplates(index, gallery, space, signal);
    const faces = givenFaces(
      given,
      read.owners,
      (owner) => index.identityOf(gallery, owner),
      read.templates.dimensions,
    );
    const { curve, probeCount, comparisonCount, samePairs } = await fitInThread(
      {
        templates: read.templates,
        origins: read.origins,
        knots: index.laneCalibration(gallery, space),
        given: faces,
        comparisonsMax,
        seed,
      },
      { onProgress, signal },
    );
    const samePeople = this.#named(gallery, read.owners, samePairs);
    if (!curve) return { calibration: null, probeCount, samePeople };
    const calibration: GalleryCalibration = {
      space,
      at: clock(),
      sequence: record.sequence,
      identityCount: read.owners.length,
      templateCount: read.counts,
      probeCount,
      givenCount: faces?.owners.length ?? 0,
      comparisonCount,
      samePairCount: samePairs.length,
      curve,
    };
    await this.#store.put(gallery, calibration, this.#laneChange(gallery, calibration));
    return { calibration, probeCount, samePeople };
  }

  /** Puts the threshold of the gallery's target in force, where it has one and is calibrated. */
  async apply(gallery: string): Promise<void> {
    const { index } = this.#options;
    const calibration = this.find(gallery, index.getGallery(gallery).space);
    const lanes = calibration ? this.#laneChange(gallery, calibration) : [];
    if (lanes.length > 0) await index.move(gallery, { lanes });
  }

  /** To be told after an enrolment: a gallery that has grown is calibrated again, in its own time. */
  grown(gallery: string): void {
    const { index, onWarning } = this.#options;
    const { fpirTarget, fmrTarget, space, identityCount } = index.getGallery(gallery);
    if ((fpirTarget === null && fmrTarget === null) || this.#running.has(gallery)) return;
    const calibration = this.find(gallery, space);
    if (!calibration || identityCount < growthMax * calibration.identityCount) return;
    const abort = new AbortController();
    const done = this.calibrate({ gallery, signal: abort.signal })
      .then(
        () => undefined,
        (error: unknown) => {
          if (isHarmonidError(error) && ['CANCELLED', 'CLOSED', 'GALLERY_NOT_FOUND'].includes(error.code)) return;
          onWarning('a gallery that has grown could not be calibrated again', { gallery, error });
        },
      )
      .finally(() => this.#running.delete(gallery));
    this.#running.set(gallery, { abort, done });
  }

  /** Ends what runs in the background. */
  async close(): Promise<void> {
    for (const { abort } of this.#running.values()) abort.abort();
    await Promise.all([...this.#running.values()].map(({ done }) => done));
  }

  #laneChange(gallery: string, calibration: GalleryCalibration): readonly LaneChange[] {
    const { fpirTarget, identityCount, space } = this.#options.index.getGallery(gallery);
    if (fpirTarget === null || calibration.space !== space) return [];
    const { threshold } = thresholdFor(calibration, 'fpir', fpirTarget, Math.max(1, identityCount));
    const thresholdSource = `calibrated: FPIR ${fpirTarget} among ${identityCount} identities`;
    return [{ kind: 'set', space, settings: { threshold, thresholdSource } }];
  }

  #named(gallery: string, owners: readonly number[], pairs: readonly ClosePair[]): readonly SamePeople[] {
    const { index } = this.#options;
    return pairs.flatMap(({ one, other, distance }) => {
      const names = [one, other].map((position) => index.identityOf(gallery, owners[position] as number));
      const [first, second] = names;
      // Who was erased meanwhile has no name any more.
      return first === undefined || second === undefined ? [] : [{ identities: [first, second] as const, distance }];
    });
  }
}

/** One face a person. Who is not in the gallery, or named by nobody, is a stranger. */
function givenFaces(
  given: readonly GivenProbe[],
  owners: readonly number[],
  identityOf: (owner: number) => string | undefined,
  dimensions: number,
): GivenFaces | undefined {
  if (given.length === 0) return undefined;
  const wanted = new Set(given.map(({ identity }) => identity));
  const positions = new Map(
    owners.flatMap((owner, position) => {
      const identity = identityOf(owner);
      return identity !== undefined && wanted.has(identity) ? [[identity, position] as const] : [];
    }),
  );
  const seen = new Set<string>();
  const faces = given.filter(({ identity }) => {
    if (identity === null) return true;
    if (seen.has(identity)) return false;
    seen.add(identity);
    return true;
  });
  const vectors = new Float32Array(faces.length * dimensions);
  faces.forEach(({ vector }, at) => vectors.set(vector, at * dimensions));
  return {
    vectors,
    owners: Int32Array.from(faces, ({ identity }) => (identity === null ? -1 : (positions.get(identity) ?? -1))),
  };
}
