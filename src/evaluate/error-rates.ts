/**
 * Error rates of one-to-one verification from the distances of genuine and impostor pairs. Pure arithmetic.
 *
 * A pair is accepted when its distance is <= the threshold (FaceNet, section 4). VAL is the share of genuine pairs accepted
 * (1 - FNMR), FAR the share of impostor pairs accepted (FMR when no photo was refused). Rates change only at observed
 * distances, so thresholds are put halfway between two neighbouring ones: equal distances always fall on the same side, and
 * the cut is as far from the evidence as it can be. All figures of folds are held out: a fold is judged by the threshold
 * that its sister folds chose. A FAR that the pairs cannot resolve is said to be so and gets no number.
 *
 * A pair whose faces were not both found may be given the distance Infinity: no threshold that is chosen here accepts it, so that
 * shares become FAR and FRR with failures to acquire in them (ISO/IEC 19795-1), where without such pairs they are FMR and FNMR.
 */

/** Squared L2 distances of the pairs of one fold whose faces were both found. */
export interface FoldDistances {
  readonly genuine: readonly number[];
  readonly impostor: readonly number[];
}

/** A mean over folds with its standard error: sample standard deviation over the root of their number. */
export interface Estimate {
  readonly mean: number;
  readonly standardError: number;
}

/** Rates at one threshold. */
export interface RocPoint {
  readonly threshold: number;
  /** False match rate: share of impostor pairs accepted. */
  readonly fmr: number;
  /** False non-match rate: share of genuine pairs refused. */
  readonly fnmr: number;
}

/**
 * How well a FAR is supported by n impostor pairs. `measured`: at least 30 false accepts are expected, the true rate is
 * within 30 % of the observed one with 90 % confidence (Doddington's rule of 30). `coarse`: at least one. `not-measurable`:
 * the target is finer than one pair.
 */
export type FarSupport = 'measured' | 'coarse' | 'not-measurable';

/** VAL at a target FAR, held out: the threshold comes from the other folds. */
export interface ValAtFar {
  readonly far: number;
  readonly support: FarSupport;
  /** Null when not measurable, and so are the others. */
  readonly val: Estimate | null;
  /** FAR that the held-out folds realised. */
  readonly realisedFar: Estimate | null;
  /** Mean of the folds' thresholds, squared L2. */
  readonly threshold: number | null;
  /** VAL with one threshold chosen on all pairs: not held out, for comparison with figures given so. */
  readonly pooledVal: number | null;
}

/** Accuracy over folds with the threshold from the others. */
export interface FoldedAccuracy {
  readonly accuracy: Estimate;
  readonly foldAccuracies: readonly number[];
  /** Mean of the folds' thresholds, squared L2. */
  readonly threshold: number;
  readonly foldThresholds: readonly number[];
}

/** Counts in equal bins over [0, 4], as shares; squared L2 distances of unit vectors are nowhere else. */
export function histogramOf(distances: readonly number[], binCount: number): readonly number[] {
  const counts = Array.from({ length: binCount }, () => 0);
  for (const distance of distances) {
    const bin = Math.min(binCount - 1, Math.floor((distance / 4) * binCount));
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return counts.map((count) => count / distances.length);
}

/** No distance is negative: refuses everything. */
const refuseAll = -1;

/** The ROC's corners: for every FMR that can be reached the smallest FNMR, by rising threshold. Both kinds must be there. */
export function rocCorners({ genuine, impostor }: FoldDistances): readonly RocPoint[] {
  const [g, i] = [ascending(genuine), ascending(impostor)];
  const corners: RocPoint[] = [];
  for (const threshold of cuts(g, i)) {
    const point = {
      threshold,
      fmr: countWithin(i, threshold) / i.length,
      fnmr: 1 - countWithin(g, threshold) / g.length,
    };
    const last = corners.at(-1);
    if (last && last.fmr === point.fmr) corners.pop();
    const kept = corners.at(-1);
    if (!kept || point.fnmr < kept.fnmr) corners.push(point);
  }
  return corners;
}

/** The largest threshold at which at most `far` of the impostors are accepted. */
export function thresholdAtFar({ genuine, impostor }: FoldDistances, far: number): number {
  const i = ascending(impostor);
  // The small addend keeps 0.1 * 30 from being 2 accepted pairs.
  const accepted = Math.floor(far * i.length + 1e-9);
  const refused = i[accepted];
  if (refused === undefined) return Math.max(refuseAll, ...i.slice(-1), ...ascending(genuine).slice(-1));
  const below = [genuine, impostor].flatMap((distances) => distances.filter((distance) => distance < refused));
  return halfway(ascending(below).at(-1), refused);
}

/** The threshold with the most right decisions; of several equally good ones the middle. */
export function mostAccurateThreshold({ genuine, impostor }: FoldDistances): number {
  const [g, i] = [ascending(genuine), ascending(impostor)];
  let best: number[] = [];
  let bestCount = -1;
  for (const threshold of cuts(g, i)) {
    const count = countWithin(g, threshold) + i.length - countWithin(i, threshold);
    if (count > bestCount) [best, bestCount] = [[], count];
    if (count === bestCount) best.push(threshold);
  }
  return best[best.length >> 1] ?? refuseAll;
}

/**
 * Accuracy of each fold at the threshold that is most accurate on the others.
 * @param failures pairs of each fold that could not be compared; they count as errors. Default none.
 */
export function foldedAccuracy(folds: readonly FoldDistances[], failures: readonly number[] = []): FoldedAccuracy {
  const foldThresholds = folds.map((_, held) => mostAccurateThreshold(pool(folds, held)));
  const foldAccuracies = folds.map(({ genuine, impostor }, held) => {
    const threshold = foldThresholds[held] ?? refuseAll;
    const right = within(genuine, threshold) + impostor.length - within(impostor, threshold);
    return right / (genuine.length + impostor.length + (failures[held] ?? 0));
  });
  return { accuracy: estimate(foldAccuracies), foldAccuracies, threshold: mean(foldThresholds), foldThresholds };
}

/** VAL of each fold at the threshold that reaches `far` on the others (FaceNet, section 4: VAL(d) and FAR(d)). */
export function valAtFar(folds: readonly FoldDistances[], far: number): ValAtFar {
  const support = farSupport(far, impostorsMin(folds));
  const thresholds = heldOutThresholds(folds, far);
  if (!thresholds) return { far, support, val: null, realisedFar: null, threshold: null, pooledVal: null };
  const all = pool(folds);
  return {
    far,
    support,
    val: estimate(sharesWithin(folds, 'genuine', thresholds)),
    realisedFar: estimate(sharesWithin(folds, 'impostor', thresholds)),
    threshold: mean(thresholds),
    pooledVal: within(all.genuine, thresholdAtFar(all, far)) / all.genuine.length,
  };
}

/** For each fold the threshold that reaches `far` on the others; null when that is not measurable. */
export function heldOutThresholds(folds: readonly FoldDistances[], far: number): readonly number[] | null {
  if (farSupport(far, impostorsMin(folds)) === 'not-measurable') return null;
  return folds.map((_, held) => thresholdAtFar(pool(folds, held), far));
}

/** Share of each fold's pairs of one kind that its threshold accepts. */
export function sharesWithin(
  folds: readonly FoldDistances[],
  kind: keyof FoldDistances,
  thresholds: readonly number[],
): readonly number[] {
  return folds.map((fold, held) => within(fold[kind], thresholds[held] ?? refuseAll) / fold[kind].length);
}

/** Mean over folds of `values` less `others`, fold by fold: what both owe to the difficulty of a fold falls out. */
export function pairedDifference(values: readonly number[], others: readonly number[]): Estimate {
  return estimate(values.map((value, fold) => value - (others[fold] ?? Number.NaN)));
}

/** A threshold is chosen on all folds but one, so that is what has to resolve a FAR. */
function impostorsMin(folds: readonly FoldDistances[]): number {
  return Math.min(...folds.map((_, held) => pool(folds, held).impostor.length));
}

/** Powers of ten from 1e-1 down to the first that the folds cannot resolve, so that it is told where their word ends. */
export function farsOf(folds: readonly FoldDistances[]): readonly number[] {
  const impostors = impostorsMin(folds);
  const rates = [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6];
  const end = rates.findIndex((far) => farSupport(far, impostors) === 'not-measurable');
  return end < 0 ? rates : rates.slice(0, end + 1);
}

/** Whether `impostorCount` pairs can speak about `far`. */
export function farSupport(far: number, impostorCount: number): FarSupport {
  const expected = far * impostorCount + 1e-9;
  if (expected >= 30) return 'measured';
  return expected >= 1 ? 'coarse' : 'not-measurable';
}

/** All folds in one, without the fold `held`. */
export function pool(folds: readonly FoldDistances[], held?: number): FoldDistances {
  const kept = folds.filter((_, fold) => fold !== held);
  return { genuine: kept.flatMap(({ genuine }) => genuine), impostor: kept.flatMap(({ impostor }) => impostor) };
}

/** @param values at least two. */
export function estimate(values: readonly number[]): Estimate {
  const centre = mean(values);
  const squares = values.reduce((sum, value) => sum + (value - centre) ** 2, 0);
  return { mean: centre, standardError: Math.sqrt(squares / (values.length - 1) / values.length) };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** One threshold between each two neighbouring distances, one that refuses all, one that accepts all. */
function cuts(genuine: readonly number[], impostor: readonly number[]): readonly number[] {
  const distinct = ascending([...new Set([...genuine, ...impostor])]);
  const between = distinct.map((distance, position) => halfway(distinct[position - 1], distance));
  return [...between, ...distinct.slice(-1)];
}

/** A threshold that accepts `below` (if there is one) and refuses `above`. */
function halfway(below: number | undefined, above: number): number {
  if (below === undefined) return above > 0 && above < Infinity ? above / 2 : refuseAll;
  const middle = below + (above - below) / 2;
  // Neighbouring floats have nothing between them.
  return middle < above ? middle : below;
}

function ascending(values: readonly number[]): readonly number[] {
  return values.toSorted((a, b) => a - b);
}

function within(distances: readonly number[], threshold: number): number {
  return distances.filter((distance) => distance <= threshold).length;
}

/** The same for ascending distances, in logarithmic time. */
function countWithin(sorted: readonly number[], threshold: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? Infinity) <= threshold) low = middle + 1;
    else high = middle;
  }
  return low;
}
