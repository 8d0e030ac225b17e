/**
 * The gates: questions that an adapter must answer, on people outside its fit, before it may serve. Pure.
 *
 * What cannot be measured is not passed. Intervals are bootstrapped over people; a gate that compares two models draws the same people for both,
 * because they are seen on the same faces. Rates: FaceNet's VAL at FAR for verification, NIST FRTE 1:N's FNIR at FPIR for identification.
 */
import { makeRandom } from '../random.js';
import type { Row } from './channels.js';
import {
  drawPeople,
  fnirAt,
  rankSearches,
  thresholdAt,
  valAt,
  weightedFnirAt,
  weightedValAt,
  type Comparisons,
  type Search,
} from './comparisons.js';
import type { CrossFit } from './cross-fit.js';
import { foldOf } from './pair-set.js';
import type { Gate } from './rollout.js';

export interface GateQuestion extends CrossFit {
  readonly far: number;
  readonly fpir: number;
  readonly seed: number;
  /** Of a person, where they are known. */
  readonly groupsOf: (person: string) => readonly string[];
  /** Share of the pairs of enrolled people whose old vector matches one of their own templates; null without such pairs. */
  readonly belonging: number | null;
}

const replicates = 200;
/** Impostor comparisons, or searches of strangers, that a rate wants: so many expected events (Doddington's rule of 30). */
const eventsMin = 30;
const limits = {
  people: 100,
  realisedFar: 1.3,
  negativeFlips: 0.005,
  participation: 0.8,
  belonging: 0.8,
  groupRatio: 1.25,
  groupPeople: 30,
} as const;

type Answer = Pick<Gate, 'verdict' | 'message' | 'remedy' | 'value' | 'interval' | 'wanted'>;

export function askGates(question: GateQuestion): readonly Gate[] {
  const answers: Readonly<Record<Gate['gate'], Answer>> = {
    'enough-people': enoughPeople(question),
    compatibility: compatibility(question),
    calibration: calibration(question),
    identification: identification(question),
    'negative-flips': negativeFlips(question),
    collapse: collapse(question),
    belonging: belonging(question),
    groups: groups(question),
  };
  return Object.entries(answers).map(([gate, answer]) => ({
    gate: gate as Gate['gate'],
    ...answer,
    overruled: false,
  }));
}

/** Whether it keeps an adapter from serving. */
export function isRefusing({ verdict, overruled }: Gate): boolean {
  return !overruled && (verdict === 'refused' || verdict === 'not-measurable');
}

function enoughPeople({ people, compared, far }: GateQuestion): Answer {
  const impostors = compared.mapped.impostorCount;
  const wanted = Math.ceil(eventsMin / far);
  const isEnough = people.length >= limits.people && impostors >= wanted;
  return {
    verdict: isEnough ? 'passed' : 'not-measurable',
    message: `${people.length} people and ${impostors} impostor comparisons; ${limits.people} and ${wanted} are wanted to know anything at FAR ${far}`,
    remedy: isEnough ? '' : 'collect pairs of more people, from photos or in shadow',
    value: people.length,
    interval: null,
    wanted: limits.people,
  };
}

function compatibility({ compared, far, seed, people }: GateQuestion): Answer {
  const [old, mapped] = [valAt(compared.old, far), valAt(compared.mapped, far)];
  if (Number.isNaN(old) || Number.isNaN(mapped)) return notMeasurable(`VAL at FAR ${far}`);
  const random = makeRandom(seed);
  const drawn = Array.from({ length: replicates }, () => {
    const weights = drawPeople(people.length, random);
    return weightedValAt(compared.mapped, far, weights) - weightedValAt(compared.old, far, weights);
  }).toSorted((a, b) => a - b);
  const at = (share: number): number => drawn[Math.round(share * (drawn.length - 1))] ?? Number.NaN;
  const isBetter = at(0.05) >= 0;
  return {
    verdict: isBetter ? 'passed' : 'refused',
    message: `VAL at FAR ${far} is ${percent(mapped)} mapped and ${percent(old)} when staying, a difference of ${points(mapped - old)} (${points(at(0.025))} to ${points(at(0.975))})`,
    remedy: isBetter
      ? ''
      : `collect pairs of more people (these are ${people.length}; between unrelated models a thousand or two are needed), or enrol the photos again`,
    value: mapped - old,
    interval: [at(0.025), at(0.975)],
    wanted: 0,
  };
}

/** On halves of the people: a threshold from one, the rate that it gives in the other. */
function calibration({ compared, far, people }: GateQuestion): Answer {
  const { mapped } = compared;
  // Half of the people are a quarter of the comparisons.
  if (mapped.impostorCount / 4 < eventsMin / far) return notMeasurable(`the realised FAR on half of the people`);
  const ratios: number[] = [];
  for (let split = 0; split < 10; split++) {
    const weights = [new Float64Array(people.length), new Float64Array(people.length)] as const;
    people.forEach((person, i) => ((weights[foldOf(`half ${split} ${person}`, 2) as 0 | 1] as Float64Array)[i] = 1));
    for (const [from, to] of [
      [weights[0], weights[1]],
      [weights[1], weights[0]],
    ] as const) {
      const threshold = weightedThreshold(mapped, far, from);
      ratios.push(weightedFar(mapped, threshold, to) / far);
    }
  }
  const sorted = ratios.toSorted((a, b) => a - b);
  const median = sorted[sorted.length >> 1] ?? Number.NaN;
  const isWithin = median <= limits.realisedFar && median >= 1 / limits.realisedFar;
  return {
    verdict: isWithin ? 'passed' : 'refused',
    message: `a threshold for FAR ${far} from half of the people gives ${median.toFixed(2)} times that in the other half (${(sorted[0] ?? 0).toFixed(2)} to ${(sorted.at(-1) ?? 0).toFixed(2)} in ${ratios.length} halves)`,
    remedy: isWithin ? '' : 'collect pairs of more people, so that the threshold is known better',
    value: median,
    interval: [sorted[0] ?? Number.NaN, sorted.at(-1) ?? Number.NaN],
    wanted: limits.realisedFar,
  };
}

/** At the operating FPIR, which must be measurable, and at a tenth of it, where there are searches enough to tell. */
function identification(question: GateQuestion): Answer {
  const { compared, fpir } = question;
  const strangers = compared.mapped.searches.filter(({ own }) => own === Infinity).length;
  const wanted = (rate: number): number => Math.ceil(eventsMin / rate);
  if (strangers < wanted(fpir)) return notMeasurable(`FNIR at FPIR ${fpir}, with ${strangers} searches of strangers,`);
  const strict = fpir / 10;
  const [operating, stricter] = [
    fnirDifference(question, fpir),
    strangers < wanted(strict) ? null : fnirDifference(question, strict),
  ];
  const worse = [operating, stricter].find((one) => one !== null && !one.isNoWorse);
  const { message, value, interval } = worse ?? operating;
  const unknown =
    stricter === null
      ? `; at FPIR ${strict} it is not known with ${strangers} searches of strangers, ${wanted(strict)} are wanted`
      : '';
  return {
    verdict: worse ? 'refused' : 'passed',
    message: `${message}${unknown}`,
    remedy: worse ? 'collect pairs of more people, or enrol the photos again' : '',
    value,
    interval,
    wanted: 0,
  };
}

/** Refused is what is worse beyond chance: that it is better is asked where more comparisons tell (compatibility). */
function fnirDifference(
  { compared, people, seed }: GateQuestion,
  fpir: number,
): Pick<Answer, 'message' | 'value' | 'interval'> & { readonly isNoWorse: boolean } {
  const [old, mapped] = [fnirAt(compared.old, fpir), fnirAt(compared.mapped, fpir)];
  const ranked = [rankSearches(compared.mapped.searches), rankSearches(compared.old.searches)] as const;
  const random = makeRandom(seed);
  const drawn = Array.from({ length: replicates }, () => {
    const weights = drawPeople(people.length, random);
    return weightedFnirAt(ranked[0], fpir, weights) - weightedFnirAt(ranked[1], fpir, weights);
  }).toSorted((a, b) => a - b);
  const at = (share: number): number => drawn[Math.round(share * (drawn.length - 1))] ?? Number.NaN;
  return {
    isNoWorse: at(0.05) <= 0,
    message: `FNIR at FPIR ${fpir} is ${percent(mapped)} mapped and ${percent(old)} when staying, a difference of ${points(mapped - old)} (${points(at(0.025))} to ${points(at(0.975))})`,
    value: mapped - old,
    interval: [at(0.025), at(0.975)],
  };
}

/** People found by name before and not after, with thresholds for the same FAR. */
function negativeFlips({ compared, far }: GateQuestion): Answer {
  const flips = flipsOf(compared, far);
  if (!flips) return notMeasurable('negative flips');
  const share = flips.negative.length / flips.mated;
  const isFew = share <= limits.negativeFlips;
  return {
    verdict: isFew ? 'passed' : 'refused',
    message: `${flips.negative.length} of ${flips.mated} searches find somebody when staying and not when mapped (${percent(share)}), ${flips.positiveCount} the other way round (${percent(flips.positiveCount / flips.mated)})`,
    remedy: isFew
      ? ''
      : 'enrol the photos of those who would be lost again, let both models answer (fused), or overrule it if those who gain outweigh them',
    value: share,
    interval: null,
    wanted: limits.negativeFlips,
  };
}

export interface Flips {
  readonly mated: number;
  /** Numbers of the people, one a search. */
  readonly negative: readonly number[];
  readonly positiveCount: number;
}

/** Null when the thresholds cannot be told. */
export function flipsOf(compared: Readonly<Record<Row, Comparisons>>, far: number): Flips | null {
  const [before, after] = [thresholdAt(compared.old, far), thresholdAt(compared.mapped, far)];
  if (Number.isNaN(before) || Number.isNaN(after)) return null;
  const isFound = ({ own, other }: Search, threshold: number): boolean => own <= threshold && own < other;
  let [mated, positiveCount] = [0, 0];
  const negative: number[] = [];
  compared.old.searches.forEach((search, i) => {
    const mapped = compared.mapped.searches[i];
    if (search.own === Infinity || !mapped) return;
    mated++;
    const [was, is] = [isFound(search, before), isFound(mapped, after)];
    if (was && !is) negative.push(search.person);
    if (!was && is) positiveCount++;
  });
  return mated === 0 ? null : { mated, negative, positiveCount };
}

function collapse({ participation }: GateQuestion): Answer {
  const isWide = participation >= limits.participation;
  return {
    verdict: isWide ? 'passed' : 'refused',
    message: `mapped vectors vary in ${participation.toFixed(2)} times as many directions as the new model's own (participation ratio)`,
    remedy: isWide
      ? ''
      : 'the map has fallen together: collect pairs of more people, and see that they belong together',
    value: participation,
    interval: null,
    wanted: limits.participation,
  };
}

function belonging({ belonging: share }: GateQuestion): Answer {
  if (share === null) {
    return {
      verdict: 'not-applicable',
      message: 'none of the pairs is of somebody who is enrolled',
      remedy: '',
      value: null,
      interval: null,
      wanted: limits.belonging,
    };
  }
  const isOurs = share >= limits.belonging;
  return {
    verdict: isOurs ? 'passed' : 'refused',
    message: `the old vectors of ${percent(share)} of the pairs of enrolled people match one of their own templates`,
    remedy: isOurs
      ? ''
      : 'the pairs come from another model, or from other people, than the gallery: collect them anew',
    value: share,
    interval: null,
    wanted: limits.belonging,
  };
}

/** How much worse a group fares than all, before and after. */
function groups({ compared, people, far, groupsOf }: GateQuestion): Answer {
  const members = new Map<string, Set<number>>();
  people.forEach((person, i) => {
    for (const group of groupsOf(person)) members.set(group, (members.get(group) ?? new Set()).add(i));
  });
  const known = [...members].filter(([, numbers]) => numbers.size >= limits.groupPeople);
  if (known.length === 0) {
    return {
      verdict: 'not-applicable',
      message: `no group has ${limits.groupPeople} people among the pairs`,
      remedy: '',
      value: null,
      interval: null,
      wanted: limits.groupRatio,
    };
  }
  const ratios = known.map(([group, numbers]) => {
    const ratioOf = (comparisons: Comparisons): number => {
      const threshold = thresholdAt(comparisons, far);
      const missed = (isCounted: (person: number) => boolean): number => {
        let [count, misses] = [0, 0];
        comparisons.genuine.forEach((distance, i) => {
          if (!isCounted(comparisons.genuinePeople[i] as number)) return;
          count++;
          if (distance > threshold) misses++;
        });
        return misses / count;
      };
      return missed((person) => numbers.has(person)) / missed(() => true);
    };
    return { group, growth: ratioOf(compared.mapped) / ratioOf(compared.old) };
  });
  const worst = ratios.toSorted((one, other) => other.growth - one.growth)[0];
  if (!worst || Number.isNaN(worst.growth)) return notMeasurable('rates of groups');
  const isFair = worst.growth <= limits.groupRatio;
  return {
    verdict: isFair ? 'passed' : 'refused',
    message: `the misses of group "${worst.group}", beside those of all, grow by ${worst.growth.toFixed(2)} (the most of ${ratios.length} groups)`,
    remedy: isFair ? '' : `collect more pairs of group "${worst.group}", or enrol its photos again`,
    value: worst.growth,
    interval: null,
    wanted: limits.groupRatio,
  };
}

function notMeasurable(what: string): Answer {
  return {
    verdict: 'not-measurable',
    message: `${what} cannot be measured with so few people`,
    remedy: 'collect pairs of more people',
    value: null,
    interval: null,
    wanted: null,
  };
}

// ── Rates of some of the people ──────────────────────────────────────────────────────────────────────────────────────

function weightedThreshold(comparisons: Comparisons, far: number, weights: Float64Array): number {
  const { impostors, impostorPeople } = comparisons;
  const allowed = far * impostorsOf(comparisons, weights);
  let [accepted, threshold] = [0, -1];
  for (let i = 0; i < impostors.length; i++) {
    accepted +=
      (weights[impostorPeople[2 * i] as number] as number) * (weights[impostorPeople[2 * i + 1] as number] as number);
    if (accepted > allowed) break;
    threshold = impostors[i] as number;
  }
  return threshold;
}

function weightedFar(comparisons: Comparisons, threshold: number, weights: Float64Array): number {
  const { impostors, impostorPeople } = comparisons;
  let accepted = 0;
  for (let i = 0; i < impostors.length && (impostors[i] as number) <= threshold; i++) {
    accepted +=
      (weights[impostorPeople[2 * i] as number] as number) * (weights[impostorPeople[2 * i + 1] as number] as number);
  }
  return accepted / impostorsOf(comparisons, weights);
}

/** In expectation: which comparisons were made is not kept. */
function impostorsOf({ impostorCount, peopleCount }: Comparisons, weights: Float64Array): number {
  const share = weights.reduce((sum, weight) => sum + weight, 0) / peopleCount;
  return impostorCount * share * share;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}

function points(share: number): string {
  return `${share >= 0 ? '+' : ''}${(100 * share).toFixed(2)} points`;
}
