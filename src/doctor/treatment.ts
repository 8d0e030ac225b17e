/**
 * A plan applied to a gallery, step by step, by calls that the audit log records already: import, update-identity, remove-template.
 *
 * Promises: templates are enrolled where they go, with their provenance, before they are removed where they were; when one is refused, none of its step
 * is removed. Nobody is erased: who was merged away stays with label, groups and attributes, and matches nothing. What is lost is named: an attribute or a label that both
 * have, differently, is the kept one's. Each step comes back with the steps that undo it. A merge
 * that was done already does nothing; a template that is not there any more is refused.
 */
import type { CallOptions, Database, ExportedTemplate, Identity } from '../api.js';
import { HarmonidError, isHarmonidError, throwIfAborted } from '../errors.js';
import type { TreatmentPlan, TreatmentStep } from './treatment-plan.js';

/** What became of a step. JSON values only. */
export interface TreatedStep {
  readonly step: TreatmentStep;
  /** Templates that went over, by their numbers there. */
  readonly templates: readonly number[];
  /** What is not kept, in words; empty as a rule. */
  readonly lost: readonly string[];
  /** To be applied in this order; the steps of later ones first. */
  readonly undo: readonly TreatmentStep[];
}

/**
 * Applies the steps in their order and yields each when it is durable.
 * @throws IDENTITY_NOT_FOUND, TEMPLATE_NOT_FOUND, LIMIT_EXCEEDED, ROLLOUT_STATE, CANCELLED, and what an import is refused with; steps that were yielded stay
 */
export async function* treat(
  database: Database,
  { gallery, steps }: TreatmentPlan,
  { signal }: CallOptions = {},
): AsyncGenerator<TreatedStep, void, void> {
  const { beside } = await database.getGallery({ gallery, signal });
  if (beside) {
    // The vectors of the other space do not leave with a template.
    throw new HarmonidError(
      'ROLLOUT_STATE',
      `gallery "${gallery}" is being moved to ${beside.space}; finish that first`,
    );
  }
  const templates = await templatesOf(
    database,
    gallery,
    steps.map(({ identity }) => identity),
    signal,
  );
  for (const step of steps) {
    throwIfAborted(signal);
    if (step.action === 'describe') yield await describeAgain(database, gallery, step, signal);
    else yield await bringOver(database, gallery, step, templates.get(step.identity) ?? [], signal);
  }
}

async function bringOver(
  database: Database,
  gallery: string,
  step: Exclude<TreatmentStep, { readonly action: 'describe' }>,
  leaving: readonly ExportedTemplate[],
  signal: AbortSignal | undefined,
): Promise<TreatedStep> {
  const { identity, into } = step;
  const from = await database.getIdentity({ gallery, identity, signal });
  const target =
    step.action === 'merge'
      ? await database.getIdentity({ gallery, identity: into, signal })
      : await findIdentity(database, gallery, into, signal);
  const chosen =
    step.action === 'merge' ? leaving : leaving.filter(({ template }) => template.template === step.template);
  if (step.action === 'move' && chosen.length === 0) {
    throw new HarmonidError('TEMPLATE_NOT_FOUND', `"${identity}" has no template ${step.template}`);
  }
  const { templatesPerIdentityMax } = await database.getGallery({ gallery, signal });
  const after = (target?.templates.length ?? 0) + chosen.length;
  if (after > templatesPerIdentityMax) {
    const limit = `gallery "${gallery}" allows ${templatesPerIdentityMax} templates a person`;
    throw new HarmonidError('LIMIT_EXCEEDED', `"${into}" would have ${after} templates; ${limit}`);
  }

  const templates = await enrollThere(database, gallery, into, chosen, signal);
  const described =
    step.action === 'merge' && target ? await join(database, from, target, signal) : { lost: [], undo: [] };
  for (const { template } of chosen)
    await database.removeTemplate({ gallery, identity, template: template.template, signal });
  return {
    step,
    templates,
    lost: described.lost,
    undo: [
      ...templates.map((template) => ({ action: 'move', identity: into, template, into: identity }) as const),
      ...described.undo,
    ],
  };
}

/** Numbers of the templates where they are now. */
async function enrollThere(
  database: Database,
  gallery: string,
  into: string,
  chosen: readonly ExportedTemplate[],
  signal: AbortSignal | undefined,
): Promise<readonly number[]> {
  // What is known of the person stays where it is; `join` is for that.
  const items = chosen.map((item) => ({ ...item, identity: into, label: '', groups: [], attributes: {} }));
  const numbers: number[] = [];
  for await (const { answer, error } of database.importTemplates(items, { gallery, duplicates: 'ignore', signal })) {
    if (error) throw error;
    numbers.push(answer.template.template);
  }
  throwIfAborted(signal);
  return numbers.toSorted((a, b) => a - b);
}

/** Groups of both, attributes of both, and the label of the one that is kept, unless it has none. */
async function join(
  database: Database,
  from: Identity,
  into: Identity,
  signal: AbortSignal | undefined,
): Promise<Pick<TreatedStep, 'lost' | 'undo'>> {
  const { gallery, identity } = into;
  const groups = [...new Set([...into.groups, ...from.groups])];
  const attributes = { ...from.attributes, ...into.attributes };
  const label = into.label === '' ? from.label : into.label;
  const lost = Object.entries(from.attributes)
    .filter(([key, value]) => attributes[key] !== value)
    .map(
      ([key, value]) =>
        `attribute ${key}=${value} of ${from.identity}: ${identity} has ${key}=${attributes[key] ?? ''}`,
    );
  if (from.label !== '' && from.label !== label)
    lost.push(`label "${from.label}" of ${from.identity}: ${identity} has "${label}"`);
  const isChanged =
    groups.length !== into.groups.length ||
    label !== into.label ||
    Object.keys(attributes).length !== Object.keys(into.attributes).length;
  if (!isChanged) return { lost, undo: [] };
  await database.updateIdentity({ gallery, identity, label, groups, attributes, signal });
  return { lost, undo: [description(into)] };
}

async function describeAgain(
  database: Database,
  gallery: string,
  step: Extract<TreatmentStep, { readonly action: 'describe' }>,
  signal: AbortSignal | undefined,
): Promise<TreatedStep> {
  const { identity, label, groups, attributes } = step;
  const before = await database.getIdentity({ gallery, identity, signal });
  await database.updateIdentity({ gallery, identity, label, groups, attributes, signal });
  return { step, templates: [], lost: [], undo: [description(before)] };
}

function description({ identity, label, groups, attributes }: Identity): TreatmentStep {
  return { action: 'describe', identity, label, groups, attributes };
}

/** Of those who give some away, in one reading of the gallery. */
async function templatesOf(
  database: Database,
  gallery: string,
  identities: readonly string[],
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, readonly ExportedTemplate[]>> {
  const found = new Map<string, ExportedTemplate[]>(identities.map((identity) => [identity, []]));
  for await (const item of database.exportTemplates({ gallery, signal })) found.get(item.identity)?.push(item);
  return found;
}

async function findIdentity(
  database: Database,
  gallery: string,
  identity: string,
  signal: AbortSignal | undefined,
): Promise<Identity | undefined> {
  try {
    return await database.getIdentity({ gallery, identity, signal });
  } catch (error) {
    if (isHarmonidError(error) && error.code === 'IDENTITY_NOT_FOUND') return undefined;
    throw error;
  }
}
