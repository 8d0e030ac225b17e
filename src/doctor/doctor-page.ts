/**
 * A doctor's report as one HTML page, for the operator who decides what is to be done. Pure but for the drawing.
 */
import {
  badge,
  code,
  countText,
  decimalText,
  facts,
  figure,
  givenName,
  markup,
  page,
  section,
  table,
  type Column,
  type Markup,
} from '../report/page.js';
import type { Weakness } from './examination.js';
import type { DoctorReport } from './gallery-doctor.js';
import { templateMapPlot, type MappedTemplate } from './template-map.js';
import { weaknessWords } from './weakness-words.js';

/** Rows of a table; the JSON report has all. */
const rowsMax = 200;

export async function renderDoctorPage(report: DoctorReport): Promise<string> {
  const { gallery, space, identityCount, templateCount, limits, duplicates, mislabelled, weak, plan } = report;
  const isWell = duplicates.length + mislabelled.length === 0;
  const headline = isWell
    ? 'Nobody is in it twice, no template looks misplaced'
    : `${counted(duplicates.length, 'likely duplicate')}, ${counted(mislabelled.length, 'likely mislabelled template')}`;
  return page({
    title: `${headline}: gallery ${gallery}`,
    body: [
      markup`<header class="verdict ${isWell ? 'good' : 'unsure'}">
        <p class="kicker">Gallery ${givenName(gallery)}, looked over by its templates alone</p>
        <h1>${headline}</h1>
        <p>
          ${counted(weak.length, 'weak enrolment')}. Nothing here is certain, and nothing was changed: look at the people before
          a plan is applied.
        </p>
      </header> `,
      facts([
        ['Space', givenName(space)],
        ['Identities', countText(identityCount)],
        ['Templates', countText(templateCount)],
        ['Threshold', decimalText(limits.threshold, 3)],
        ['Margin', decimalText(limits.margin, 3)],
        ['Least quality', decimalText(limits.qualityMin, 2)],
      ]),
      ...(report.map ? [section('map', 'Who is beside whom', await mapFigure(report, report.map))] : []),
      section('duplicates', 'Likely duplicates', duplicateTable(report)),
      section('mislabelled', 'Likely mislabelled templates', mislabelledTable(report)),
      section('weak', 'Weak enrolments', weakCounts(report), weakTable(report)),
      section('plan', 'What would follow', planTable(plan.steps)),
    ],
  });
}

async function mapFigure(report: DoctorReport, map: readonly MappedTemplate[]): Promise<Markup> {
  const part =
    map.length < report.templateCount
      ? ` ${countText(map.length)} of ${countText(report.templateCount)} are shown.`
      : '';
  return figure(
    await templateMapPlot(map, report),
    `A dot a template (UMAP); a line joins likely duplicates.${part} Who is beside whom counts; how far apart groups lie does not.`,
  );
}

function counted(count: number, singular: string): string {
  return `${countText(count)} ${count === 1 ? singular : `${singular}s`}`;
}

function duplicateTable({ duplicates, limits, identityCount }: DoctorReport): Markup {
  const columns: Column[] = [
    { head: 'One', kind: 'text' },
    { head: 'The other', kind: 'text' },
    { head: 'Mean between', kind: 'number' },
    { head: 'Nearest', kind: 'number' },
    { head: 'Mean within one', kind: 'number' },
    { head: 'Mean within the other', kind: 'number' },
  ];
  return table({
    caption: `Pairs of identities whose templates are within ${decimalText(limits.duplicateMax, 3)} of each other on average, nearest first; compare with the mean among their own. ${countText((identityCount * (identityCount - 1)) / 2)} pairs of identities were looked at: a calibrated gallery expects one pair of strangers within its limit; with a threshold whose FMR is not far below one in that many, some are strangers.${left(duplicates.length)}`,
    columns,
    rows: duplicates
      .slice(0, rowsMax)
      .map(({ a, b, nearest, mean, withinA, withinB, templatesA, templatesB }) => [
        named(a, templatesA),
        named(b, templatesB),
        decimalText(mean, 3),
        decimalText(nearest, 3),
        withinText(withinA),
        withinText(withinB),
      ]),
    empty: 'No two identities are that near.',
  });
}

function named(identity: string, templates: number): Markup {
  return markup`${givenName(identity)}<br /><span class="note">${counted(templates, 'template')}</span>`;
}

function withinText(within: number | null): string {
  return within === null ? 'one template' : decimalText(within, 3);
}

function mislabelledTable({ mislabelled, limits }: DoctorReport): Markup {
  return table({
    caption: `Templates that are nearer to another identity than to the rest of their own, by more than ${decimalText(limits.margin, 3)}; clearest first.${left(mislabelled.length)}`,
    columns: [
      { head: 'Enrolled for', kind: 'text' },
      { head: 'Template', kind: 'number' },
      { head: 'Likely of', kind: 'text' },
      { head: 'Mean to its own', kind: 'number' },
      { head: 'Mean to the other', kind: 'number' },
    ],
    rows: mislabelled
      .slice(0, rowsMax)
      .map(({ identity, template, other, toOwn, toOther }) => [
        givenName(identity),
        String(template),
        givenName(other),
        decimalText(toOwn, 3),
        decimalText(toOther, 3),
      ]),
    empty: 'Every template is where it is nearest.',
  });
}

function weakCounts({ weak }: DoctorReport): Markup {
  const count = (weakness: Weakness): number => weak.filter(({ weaknesses }) => weaknesses.includes(weakness)).length;
  return facts(
    Object.entries(weaknessWords).map(([weakness, words]) => [words, countText(count(weakness as Weakness))]),
  );
}

function weakTable({ weak }: DoctorReport): Markup {
  return table({
    caption: `Another photo would help.${left(weak.length)}`,
    columns: [
      { head: 'Identity', kind: 'text' },
      { head: 'Why', kind: 'prose' },
      { head: 'Templates', kind: 'number' },
      { head: 'Best quality', kind: 'number' },
      { head: 'Mean within', kind: 'number' },
    ],
    rows: weak
      .slice(0, rowsMax)
      .map(({ identity, weaknesses, templateCount, quality, within }) => [
        givenName(identity),
        markup`${weaknesses.map((weakness) => markup`${badge('unsure', weaknessWords[weakness])} `)}`,
        countText(templateCount),
        quality === null ? '–' : decimalText(quality, 2),
        within === null ? '–' : decimalText(within, 3),
      ]),
    empty: 'Nobody is enrolled weakly.',
  });
}

function planTable(steps: DoctorReport['plan']['steps']): Markup {
  const rows = steps.slice(0, rowsMax).map((step, i) => {
    const into = 'into' in step ? step.into : step.identity;
    const what = step.action === 'move' ? `template ${step.template} of` : 'all templates of';
    return [String(i + 1), step.action, markup`${what} ${givenName(step.identity)} to ${givenName(into)}`];
  });
  return table({
    caption: markup`Steps of the plan that ${code('--plan FILE')} writes and ${code('--apply FILE')} applies; strike out what is wrong.${left(steps.length)}`,
    columns: [
      { head: 'Step', kind: 'text' },
      { head: 'Action', kind: 'text' },
      { head: 'What', kind: 'prose' },
    ],
    rows,
    empty: 'Nothing is proposed.',
  });
}

function left(count: number): string {
  return count > rowsMax ? ` The first ${rowsMax} of ${countText(count)}; the JSON report has all.` : '';
}
