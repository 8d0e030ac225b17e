/**
 * Where the templates of a gallery lie (cluster/face-map.ts), and which of them the findings are about.
 *
 * Of a large gallery a part is shown: all that a finding names, and as many of the others, evenly spaced in the order of the gallery, as a picture bears.
 */
import { mapFaces, type FaceMapOptions } from '../cluster/face-map.js';
import type { Markup } from '../report/page.js';
import { scatterPlot } from '../report/scatter-plot.js';
import type { ExaminedTemplate, Findings } from './examination.js';

/** JSON values only. */
export interface MappedTemplate {
  readonly identity: string;
  readonly template: number;
  readonly place: readonly [x: number, y: number];
}

/** Default of the templates that are shown. */
const shownMax = 5_000;

/** @throws CANCELLED */
export async function mapTemplates(
  templates: readonly ExaminedTemplate[],
  findings: Findings,
  options: FaceMapOptions & { readonly shownMax?: number | undefined } = {},
): Promise<readonly MappedTemplate[]> {
  const isNamed = namedBy(findings);
  const named = templates.filter(isNamed).length;
  const others = templates.length - named;
  const room = Math.max(0, (options.shownMax ?? shownMax) - named);
  let [seen, kept] = [0, 0];
  const shown = templates.filter((template) => {
    if (isNamed(template)) return true;
    const wanted = Math.min(others, Math.floor((++seen * room) / others));
    if (kept >= wanted) return false;
    kept++;
    return true;
  });
  const places = await mapFaces(
    shown.map(({ vector }) => vector),
    options,
  );
  return shown.map(({ identity, template }, i) => ({
    identity,
    template,
    place: places[i] as readonly [number, number],
  }));
}

export function templateMapPlot(mapped: readonly MappedTemplate[], findings: Findings): Promise<Markup | null> {
  const twice = new Set(findings.duplicates.flatMap(({ a, b }) => [a, b]));
  const misplaced = new Set(findings.mislabelled.map(({ identity, template }) => keyOf(identity, template)));
  const kindOf = ({ identity, template }: MappedTemplate): 'misplaced' | 'twice' | 'fine' =>
    misplaced.has(keyOf(identity, template)) ? 'misplaced' : twice.has(identity) ? 'twice' : 'fine';
  const places = (kind: ReturnType<typeof kindOf>): readonly MappedTemplate['place'][] =>
    mapped.filter((one) => kindOf(one) === kind).map(({ place }) => place);
  const firstOf = new Map(mapped.toReversed().map(({ identity, place }) => [identity, place]));
  return scatterPlot({
    title: `Map of ${mapped.length} templates`,
    clouds: [
      { name: 'nothing found', ink: 'grey', points: places('fine') },
      { name: 'likely duplicate', ink: 'orange', points: places('twice') },
      { name: 'likely mislabelled', ink: 'blue', points: places('misplaced') },
    ],
    links: findings.duplicates.flatMap(({ a, b }) => {
      const [one, other] = [firstOf.get(a), firstOf.get(b)];
      return one && other ? [[one, other] as const] : [];
    }),
  });
}

function namedBy({ duplicates, mislabelled }: Findings): (template: ExaminedTemplate) => boolean {
  const identities = new Set(duplicates.flatMap(({ a, b }) => [a, b]));
  const templates = new Set(mislabelled.map(({ identity, template }) => keyOf(identity, template)));
  return ({ identity, template }) => identities.has(identity) || templates.has(keyOf(identity, template));
}

function keyOf(identity: string, template: number): string {
  return `${template} ${identity}`;
}
