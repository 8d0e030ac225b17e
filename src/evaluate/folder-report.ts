/**
 * Everything that a folder of photos, one folder a person, can say about model packs: verification, identification, calibration, clusters, smaller embeddings, a map,
 * and where wanted bad photos; each by its own protocol, on the same photos.
 *
 * Promises: what too few people or photos cannot say is refused in words, and the rest is said. A face is embedded once: the protocols meet in one cache.
 */
import { isHarmonidError } from '../errors.js';
import type { Embedder } from '../embedder/embedder.js';
import type { Algebra } from '../migrate/dense-algebra.js';
import { evaluateCalibration, type CalibrationEvaluation } from './calibration.js';
import { evaluateClustering, type ClusteringReport } from './clustering.js';
import { evaluateDimensions, type DimensionsReport } from './dimensions.js';
import { drawPairs } from './drawn-pairs.js';
import { evaluateIdentification, type IdentificationReport } from './identification.js';
import { comparePacks, type PackComparisonReport } from './pack-comparison.js';
import type { PairList } from './pairs.js';
import { mapPeople, type PeopleMap } from './people-map.js';
import type { LabelledPhotos } from './person-photos.js';
import type { PairProtocol } from './photo-vectors.js';
import { evaluateRobustness, type RobustnessReport } from './robustness.js';
import { evaluateVerification, type VerificationReport } from './verification.js';

export interface FolderReportOptions extends LabelledPhotos {
  /** Opens a pack; closed here. At least one; the others are compared with the first. */
  readonly packs: readonly (() => Promise<Embedder>)[];
  /** The folder that `photos` are in, for `pairs`. */
  readonly imagesPath: string;
  /** Default: drawn from the photos. */
  readonly pairs?: PairList | undefined;
  readonly cachePath: string;
  readonly algebra: Algebra;
  /** Whether photos are made worse, too, which is thirty times the embedding. Default false. */
  readonly robustness?: boolean | undefined;
  /** Two names of one person. */
  readonly same?: readonly (readonly [string, string])[] | undefined;
  /** Of everything random. Default 1. */
  readonly seed?: number | undefined;
  readonly onProgress?: ((stage: string, done: number, total: number) => void) | undefined;
}

/** A report, or why there is none. */
export type Attempt<Report> = { readonly report: Report } | { readonly refusal: string };

export interface PackFindings {
  readonly pack: string;
  readonly space: string;
  readonly verification: Attempt<VerificationReport>;
  readonly identification: Attempt<IdentificationReport>;
  readonly calibration: Attempt<CalibrationEvaluation>;
  readonly clustering: Attempt<ClusteringReport>;
  readonly dimensions: Attempt<DimensionsReport>;
  readonly map: Attempt<PeopleMap>;
  /** Null when it was not asked for. */
  readonly robustness: Attempt<RobustnessReport> | null;
}

/** JSON values only. */
export interface FolderReport {
  readonly people: number;
  readonly photos: number;
  /** Whether pairs were given, or drawn from the photos. */
  readonly pairsDrawn: boolean;
  readonly seed: number;
  readonly packs: readonly PackFindings[];
  /** Null for a single pack. */
  readonly comparison: Attempt<PackComparisonReport> | null;
}

/** Draws of who is enrolled, behind the calibration's figures. */
const calibrationDraws = 20;

/** @throws IMAGE_* with the photo's name, CANCELLED, and what opening a pack throws */
export async function reportFolder(options: FolderReportOptions): Promise<FolderReport> {
  const { packs, photos, seed = 1, onProgress } = options;
  const pairs = await attempt(async () => options.pairs ?? drawPairs(photos, { seed }));
  const findings: PackFindings[] = [];
  for (const open of packs) {
    const embedder = await open();
    try {
      findings.push(await findingsOf(embedder, options, pairs));
    } finally {
      await embedder.close();
    }
  }
  const protocol = pairProtocol(options, pairs, (done, total) => onProgress?.('packs compared: photos', done, total));
  return {
    people: new Set(photos.map(({ person }) => person)).size,
    photos: photos.length,
    pairsDrawn: options.pairs === undefined,
    seed,
    packs: findings,
    comparison: packs.length < 2 ? null : await onPairs(protocol, (given) => comparePacks({ ...given, packs })),
  };
}

async function findingsOf(
  embedder: Embedder,
  options: FolderReportOptions,
  pairs: Attempt<PairList>,
): Promise<PackFindings> {
  const { seed = 1, same, algebra, robustness = false, onProgress } = options;
  const { pack, space } = embedder.info;
  const tell =
    (what: string) =>
    (stage: string, done: number, total: number): void =>
      onProgress?.(`${pack}, ${what}: ${stage}`, done, total);
  const protocol = (what: string): Attempt<PairProtocol> =>
    pairProtocol(options, pairs, (done, total) => tell(what)('photos', done, total));
  const people = new Set(options.photos.map(({ person }) => person)).size;
  // In this order: whatever embeds all photos comes first.
  const identification = await attempt(() =>
    evaluateIdentification({ ...options, embedder, seed, onProgress: tell('identification') }),
  );
  return {
    pack,
    space,
    identification,
    verification: await onPairs(protocol('verification'), (given) =>
      evaluateVerification({ ...given, embedder, seed }),
    ),
    calibration: await attempt(() =>
      evaluateCalibration({
        ...options,
        embedder,
        sizes: [people >> 1],
        draws: calibrationDraws,
        same,
        seed,
        onProgress: tell('calibration'),
      }),
    ),
    clustering: await attempt(() => evaluateClustering({ ...options, embedder, seed, onProgress: tell('clustering') })),
    dimensions: await onPairs(protocol('dimensions'), (given) => evaluateDimensions({ ...given, embedder, algebra })),
    map: await attempt(() => mapPeople({ ...options, embedder, seed, onProgress: tell('map') })),
    robustness: robustness
      ? await onPairs(protocol('robustness'), (given) => evaluateRobustness({ ...given, embedder }))
      : null,
  };
}

function pairProtocol(
  { imagesPath, kind, faceChoice, concurrency, cachePath, signal }: FolderReportOptions,
  pairs: Attempt<PairList>,
  onProgress: (done: number, total: number) => void,
): Attempt<PairProtocol> {
  if ('refusal' in pairs) return pairs;
  return {
    report: { imagesPath, pairs: pairs.report, mode: kind, faceChoice, concurrency, cachePath, onProgress, signal },
  };
}

async function onPairs<Report>(
  protocol: Attempt<PairProtocol>,
  work: (protocol: PairProtocol) => Promise<Report>,
): Promise<Attempt<Report>> {
  return 'refusal' in protocol ? protocol : attempt(() => work(protocol.report));
}

/** What the photos cannot give is an INVALID_ARGUMENT of the protocol, and no reason to stop the others. */
async function attempt<Report>(work: () => Promise<Report>): Promise<Attempt<Report>> {
  try {
    return { report: await work() };
  } catch (error) {
    if (isHarmonidError(error) && error.code === 'INVALID_ARGUMENT') return { refusal: error.message };
    throw error;
  }
}
