/**
 * What looks wrong in a gallery, by its templates alone: the same person twice, templates under the wrong name, weak enrolments. Pure but for the neighbours.
 *
 * Nothing here is certain: it is what the model sees, for a person to judge. Distances are squared L2. Two identities are likely one person when the mean
 * distance between their templates lies within a limit of its own. A template is likely mislabelled when its mean distance to another identity's templates lies
 * within the threshold and is smaller, by the margin, than that to the rest of its own. One that is also farther than the threshold from its own is left aside
 * when identities are compared, so that it does not make two people one; two who are likely one person are told once, and their templates are not.
 */
import { findNeighbours } from '../cluster/graph-neighbours.js';
import { squaredDistance, type UnitVector } from '../vector.js';

/** A template as it is examined. */
export interface ExaminedTemplate {
  readonly identity: string;
  readonly template: number;
  readonly quality: number | null;
  readonly vector: UnitVector;
}

/** Two identities that are likely one person. JSON values only, as all findings. */
export interface LikelyDuplicate {
  readonly a: string;
  readonly b: string;
  /** Mean of all distances between the two. */
  readonly mean: number;
  /** Between their nearest templates; what a search would see. */
  readonly nearest: number;
  /** Mean among the templates of each; null where there is one only. */
  readonly withinA: number | null;
  readonly withinB: number | null;
  readonly templatesA: number;
  readonly templatesB: number;
}

/** A template that is likely somebody else's. */
export interface LikelyMislabelled {
  readonly identity: string;
  readonly template: number;
  /** Whose it likely is. */
  readonly other: string;
  /** Mean distance to the rest of its own identity, and to the other. */
  readonly toOwn: number;
  readonly toOther: number;
}

export const weaknesses = ['no-template', 'single-template', 'low-quality', 'far-apart'] as const;
export type Weakness = (typeof weaknesses)[number];

export interface WeakEnrolment {
  readonly identity: string;
  readonly weaknesses: readonly Weakness[];
  readonly templateCount: number;
  /** The best of its templates; null where none has a quality. */
  readonly quality: number | null;
  /** Mean distance among its templates; null with fewer than two. */
  readonly within: number | null;
}

export interface Findings {
  /** Smallest mean first. */
  readonly duplicates: readonly LikelyDuplicate[];
  /** Clearest first. */
  readonly mislabelled: readonly LikelyMislabelled[];
  /** In the order of their ids. */
  readonly weak: readonly WeakEnrolment[];
}

export interface ExaminationLimits {
  /** Within it two templates are taken for one person. */
  readonly threshold: number;
  /** Within it, on average, two identities are taken for one person: there are far more pairs of identities than templates to be mistaken for. */
  readonly duplicateMax: number;
  /** By so much a template must be nearer to others than to its own. */
  readonly margin: number;
  /** `low-quality` when even the best template is below it, [0, 1]. */
  readonly qualityMin: number;
}

/** Neighbours of a template that are looked at: more than an identity has by default, so that others are among them. */
const neighbourCount = 64;

/**
 * @param identities all of the gallery, also those without templates
 * @throws CANCELLED
 */
export async function examine(
  identities: readonly string[],
  templates: readonly ExaminedTemplate[],
  { threshold, duplicateMax, margin, qualityMin }: ExaminationLimits,
  signal?: AbortSignal,
): Promise<Findings> {
  const owned = new Map<string, ExaminedTemplate[]>();
  for (const template of templates) {
    const own = owned.get(template.identity);
    if (own) own.push(template);
    else owned.set(template.identity, [template]);
  }
  const near = await nearIdentities(templates, Math.max(threshold, duplicateMax), signal);
  const misplaced = templates.flatMap((template, position) => {
    const rest = (owned.get(template.identity) ?? []).filter((one) => one !== template);
    if (rest.length === 0) return [];
    const toOwn = meanTo(template, rest);
    const [nearest] = [...(near[position] ?? [])]
      .map((other) => ({ other, toOther: meanTo(template, owned.get(other) ?? []) }))
      .toSorted((a, b) => a.toOther - b.toOther);
    if (!nearest || nearest.toOther > threshold || nearest.toOther + margin >= toOwn) return [];
    return [{ identity: template.identity, template: template.template, toOwn, ...nearest }];
  });
  const aside = new Set(misplaced.filter(({ toOwn }) => toOwn > threshold).map(({ template }) => template));
  const duplicates = duplicatesAmong(templates, near, owned, aside, duplicateMax);
  const pairs = new Set(duplicates.map(({ a, b }) => pairName(a, b)));
  const mislabelled = misplaced.filter(({ identity, other }) => !pairs.has(pairName(identity, other)));
  return {
    duplicates,
    mislabelled: mislabelled.toSorted((a, b) => b.toOwn - b.toOther - (a.toOwn - a.toOther)),
    weak: identities.flatMap((identity) => weaknessOf(identity, owned.get(identity) ?? [], threshold, qualityMin)),
  };
}

/** For each template the other identities that have one within the threshold of it. */
async function nearIdentities(
  templates: readonly ExaminedTemplate[],
  threshold: number,
  signal: AbortSignal | undefined,
): Promise<readonly ReadonlySet<string>[]> {
  const vectors = templates.map(({ vector }) => vector);
  const { k, positions, distances } = await findNeighbours(vectors, { k: neighbourCount, signal });
  return templates.map(({ identity }, position) => {
    const others = new Set<string>();
    for (let place = position * k; place < (position + 1) * k; place++) {
      if ((distances[place] as number) > threshold) break;
      const other = (templates[positions[place] as number] as ExaminedTemplate).identity;
      if (other !== identity) others.add(other);
    }
    return others;
  });
}

function duplicatesAmong(
  templates: readonly ExaminedTemplate[],
  near: readonly ReadonlySet<string>[],
  owned: ReadonlyMap<string, readonly ExaminedTemplate[]>,
  aside: ReadonlySet<number>,
  duplicateMax: number,
): readonly LikelyDuplicate[] {
  const seen = new Set<string>();
  const own = (identity: string): readonly ExaminedTemplate[] =>
    (owned.get(identity) ?? []).filter(({ template }) => !aside.has(template));
  const found: LikelyDuplicate[] = [];
  templates.forEach(({ identity }, position) => {
    for (const other of near[position] ?? []) {
      const [a, b] = identity < other ? [identity, other] : [other, identity];
      if (seen.has(pairName(a, b))) continue;
      seen.add(pairName(a, b));
      const [ofA, ofB] = [own(a), own(b)];
      const between = ofA.flatMap((one) => ofB.map((two) => squaredDistance(one.vector, two.vector)));
      const average = mean(between);
      if (!(average <= duplicateMax)) continue;
      found.push({
        a,
        b,
        nearest: Math.min(...between),
        mean: average,
        withinA: meanWithin(ofA),
        withinB: meanWithin(ofB),
        templatesA: ofA.length,
        templatesB: ofB.length,
      });
    }
  });
  return found.toSorted((x, y) => x.mean - y.mean);
}

/** The same whoever comes first. */
function pairName(a: string, b: string): string {
  return JSON.stringify(a < b ? [a, b] : [b, a]);
}

function weaknessOf(
  identity: string,
  own: readonly ExaminedTemplate[],
  threshold: number,
  qualityMin: number,
): readonly WeakEnrolment[] {
  const qualities = own.flatMap(({ quality }) => quality ?? []);
  const quality = qualities.length === 0 ? null : Math.max(...qualities);
  const within = meanWithin(own);
  const holds: Readonly<Record<Weakness, boolean>> = {
    'no-template': own.length === 0,
    'single-template': own.length === 1,
    'low-quality': quality !== null && quality < qualityMin,
    'far-apart': within !== null && within > threshold,
  };
  const found = weaknesses.filter((weakness) => holds[weakness]);
  return found.length === 0 ? [] : [{ identity, weaknesses: found, templateCount: own.length, quality, within }];
}

function meanTo({ vector }: ExaminedTemplate, others: readonly ExaminedTemplate[]): number {
  return mean(others.map((other) => squaredDistance(vector, other.vector)));
}

function meanWithin(own: readonly ExaminedTemplate[]): number | null {
  const pairs = own.flatMap((one, i) => own.slice(0, i).map((two) => squaredDistance(one.vector, two.vector)));
  return pairs.length === 0 ? null : mean(pairs);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
