/** A robustness report as one HTML page: a plot a degradation, and the table. Pure: every figure is one of the report's. */
import { degradations, type DegradationKind } from '../embedder/degradation.js';
import type { Estimate } from './error-rates.js';
import { differenceText, estimateText, modeText } from './figure-text.js';
import {
  code,
  countText,
  facts,
  figure,
  givenName,
  markup,
  page,
  percentText,
  rateText,
  section,
  table,
  type Markup,
} from '../report/page.js';
import { linePlot, lookOf, type Series } from '../report/line-plot.js';
import type { Axis, Point } from '../report/plot-parts.js';
import { rowText } from './robustness-table.js';
import type { RobustnessReport, RobustnessRow } from './robustness.js';

export async function renderRobustnessPage(report: RobustnessReport): Promise<string> {
  const kinds = [...new Set(report.rows.flatMap(({ degradation }) => degradation?.kind ?? []))];
  const figures: Markup[] = [];
  for (const kind of kinds) figures.push(await kindFigure(report, kind));
  return page({
    title: `Robustness: ${report.pack}`,
    body: [
      markup`<header>
        <p class="kicker">Verification with both photos of a pair degraded, before a face is looked for</p>
        <h1>${givenName(report.pack)}: bad photos</h1>
      </header>`,
      facts([
        ['Pairs', `${countText(report.pairs)} in ${report.folds} folds`],
        ['Photos', countText(report.photos)],
        ['FAR', `${rateText(report.far)}: ${report.support.replace('-', ' ')}`],
        ['Faces', modeText(report.mode, report.detector, report.faceChoice)],
        ['Mirror averaging', report.mirrorAveraging ? 'yes' : 'no'],
        ['Provider', report.provider],
        ['Space', code(report.space)],
      ]),
      section('plots', 'VAL by degradation', markup`<div class="figures">${figures}</div>`),
      section('levels', 'All levels', levelTable(report)),
    ],
  });
}

async function kindFigure(report: RobustnessReport, kind: DegradationKind): Promise<Markup> {
  return figure(
    await degradationPlot(report, kind),
    markup`<strong>${sentenceOf(degradations[kind])}.</strong> Own thresholds: chosen on photos as bad. In
      service: on the photos as they are. Bands: one standard error over folds.`,
  );
}

/** VAL by the levels of one kind. */
export function degradationPlot(report: RobustnessReport, kind: DegradationKind): Promise<Markup | null> {
  const levels = levelsOf(report, kind);
  const far = rateText(report.far);
  const good = report.rows.find(({ degradation }) => degradation === null)?.val ?? null;
  const [first, last] = [levels[0]?.x ?? 0, levels.at(-1)?.x ?? 0];
  return linePlot({
    title: `VAL at FAR ${far} by ${degradations[kind]}; every figure is in the table below`,
    x: { ...levelAxis(kind), domain: [first, last] },
    y: { title: `VAL at FAR ${far}`, scale: 'linear', ticks: 'percent' },
    series: [
      { name: 'Own thresholds', ink: 'blue', dash: [], ...levelLine(levels, ({ val }) => val) },
      {
        name: 'Thresholds in service',
        ink: 'orange',
        dash: [6, 4],
        ...levelLine(levels, ({ valInService }) => valInService),
      },
      {
        name: 'As they are',
        ink: 'grey',
        dash: [2, 3],
        points: good
          ? [
              [first, good.mean],
              [last, good.mean],
            ]
          : [],
      },
    ],
  });
}

/** VAL of several packs by the levels of one kind, each with thresholds that are chosen on photos as bad. @param reports on the same pairs, at least one */
export function packDegradationPlot(
  reports: readonly RobustnessReport[],
  kind: DegradationKind,
): Promise<Markup | null> {
  const far = rateText(reports[0]?.far ?? null);
  return linePlot({
    title: `VAL at FAR ${far} by ${degradations[kind]} of ${reports.map(({ pack }) => pack).join(', ')}`,
    x: levelAxis(kind),
    y: { title: `VAL at FAR ${far}`, scale: 'linear', ticks: 'percent' },
    series: reports.map((report, i) => ({
      name: report.pack,
      ...lookOf(i),
      ...levelLine(levelsOf(report, kind), ({ val }) => val),
    })),
  });
}

interface Level {
  readonly x: number;
  readonly row: RobustnessRow;
}

/** Ascending. */
function levelsOf({ rows }: RobustnessReport, kind: DegradationKind): readonly Level[] {
  return rows
    .flatMap((row) => (row.degradation?.kind === kind ? [{ x: row.degradation.level, row }] : []))
    .toSorted((one, other) => one.x - other.x);
}

function levelAxis(kind: DegradationKind): Axis {
  return { title: sentenceOf(degradations[kind]), scale: kind === 'size' ? 'log' : 'linear', ticks: 'decimal' };
}

function levelLine(
  levels: readonly Level[],
  pick: (row: RobustnessRow) => Estimate | null,
): Pick<Series, 'points' | 'band'> {
  const known = levels.flatMap(({ x, row }) => {
    const estimate = pick(row);
    return estimate ? [{ x, ...estimate }] : [];
  });
  return {
    points: known.map(({ x, mean }): Point => [x, mean]),
    band: known.map(({ x, mean, standardError }) => ({ x, low: mean - standardError, high: mean + standardError })),
  };
}

function levelTable({ rows, far }: RobustnessReport): Markup {
  return table({
    caption: `VAL at FAR ${rateText(far)}, held out: each fold at the threshold of the others, chosen on photos as bad, or (in service) on the photos as they are. A pair whose faces were not both found is refused. ± is one standard error over folds; differences are taken fold by fold.`,
    columns: [
      { head: 'Photos', kind: 'text' },
      { head: 'VAL', kind: 'number' },
      { head: 'Against as they are', kind: 'number' },
      { head: 'VAL in service', kind: 'number' },
      { head: 'FAR in service', kind: 'number' },
      { head: 'Accuracy', kind: 'number' },
      { head: 'No face found', kind: 'number' },
    ],
    rows: rows.map((row) => [
      sentenceOf(rowText(row)),
      estimateText(row.val),
      row.degradation === null ? '–' : differenceText(row.valDifference),
      estimateText(row.valInService),
      row.farInService === null ? '–' : rateText(row.farInService.mean),
      estimateText(row.accuracy),
      percentText(row.facesNotFound.share),
    ]),
    empty: '',
  });
}

function sentenceOf(text: string): string {
  return `${(text[0] ?? '').toUpperCase()}${text.slice(1)}`;
}
