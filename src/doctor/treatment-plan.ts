/**
 * What is to be done to a gallery, as JSON that a person reads, edits and applies. Pure.
 *
 * A plan holds no vector and no image, only names and numbers. An identity that is merged into another is named in no other step, so that the order of steps
 * changes nothing.
 */
import { HarmonidError } from '../errors.js';
import type { Findings } from './examination.js';

export type TreatmentStep =
  /** All templates of `identity` go to `into`; groups and attributes are joined. `identity` stays, and matches nothing. */
  | { readonly action: 'merge'; readonly identity: string; readonly into: string }
  /** One template goes to `into`, which is made if there is none of that name: that splits an identity. */
  | { readonly action: 'move'; readonly identity: string; readonly template: number; readonly into: string }
  /** Label, groups and attributes become these: the way back from a merge. */
  | {
      readonly action: 'describe';
      readonly identity: string;
      readonly label: string;
      readonly groups: readonly string[];
      readonly attributes: Readonly<Record<string, string>>;
    };

export interface TreatmentPlan {
  readonly gallery: string;
  readonly steps: readonly TreatmentStep[];
}

/** Duplicates are merged into the one with more templates, mislabelled templates moved to whose they likely are. */
export function proposePlan(gallery: string, { duplicates, mislabelled }: Findings): TreatmentPlan {
  const mergedInto = new Map<string, string>();
  const kept = new Set<string>();
  for (const { a, b, templatesA, templatesB } of duplicates) {
    const [into, identity] = templatesB > templatesA ? [b, a] : [a, b];
    // Where three are one, the nearest two are merged first, and the third is seen by the next examination.
    if ([into, identity].some((one) => mergedInto.has(one)) || kept.has(identity)) continue;
    mergedInto.set(identity, into);
    kept.add(into);
  }
  return {
    gallery,
    steps: [
      ...mislabelled
        .filter(({ identity, other }) => !mergedInto.has(identity) && !mergedInto.has(other))
        .map(({ identity, template, other }) => ({ action: 'move', identity, template, into: other }) as const),
      ...[...mergedInto].map(([identity, into]) => ({ action: 'merge', identity, into }) as const),
    ],
  };
}

/**
 * Reads a plan that came from a file.
 * @param source names it in messages
 * @throws INVALID_ARGUMENT with the step and what is wrong with it
 */
export function parsePlan(text: string, source: string): TreatmentPlan {
  const refuse = (problem: string): never => {
    throw new HarmonidError('INVALID_ARGUMENT', `${source}: ${problem}`, { details: { source } });
  };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return refuse('this is not JSON');
  }
  const { gallery, steps } = fieldsOf(value);
  if (typeof gallery !== 'string' || !Array.isArray(steps)) return refuse('"gallery" and "steps" are wanted');
  const parsed = steps.map((step, i) => parseStep(step) ?? refuse(`step ${i + 1} is none: ${JSON.stringify(step)}`));
  const merged = new Map<string, number>();
  parsed.forEach((step, i) => {
    if (step.action === 'merge') merged.set(step.identity, i);
  });
  parsed.forEach((step, i) => {
    const names = [step.identity, ...('into' in step ? [step.into] : [])];
    if ('into' in step && step.into === step.identity) refuse(`step ${i + 1}: "${step.into}" is both sides of it`);
    const merge = names.find((name) => merged.has(name) && merged.get(name) !== i);
    if (merge !== undefined)
      refuse(`step ${i + 1}: "${merge}" is merged by another step, and can be in no other; apply a second plan for it`);
  });
  return { gallery, steps: parsed };
}

function parseStep(value: unknown): TreatmentStep | undefined {
  const { action, identity, into, template, label, groups, attributes } = fieldsOf(value);
  if (typeof identity !== 'string') return undefined;
  if (action === 'merge' && typeof into === 'string') return { action, identity, into };
  if (action === 'move' && typeof into === 'string' && typeof template === 'number' && Number.isSafeInteger(template))
    return { action, identity, template, into };
  const known = fieldsOf(attributes);
  if (
    action === 'describe' &&
    typeof label === 'string' &&
    Array.isArray(groups) &&
    groups.every((group) => typeof group === 'string') &&
    Object.values(known).every((text) => typeof text === 'string')
  ) {
    return { action, identity, label, groups, attributes: known as Readonly<Record<string, string>> };
  }
  return undefined;
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
