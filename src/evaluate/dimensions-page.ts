/** A report on compressed embeddings as one HTML page. Pure: every figure is one of the report's. */
import { compressionKinds, type CompressionKind } from './compression.js';
import { againstWhole } from './dimensions-table.js';
import type { DimensionsReport, DimensionsRow } from './dimensions.js';
import { differenceText, estimateText, modeText, withDifference } from './figure-text.js';
import {
  code,
  countText,
  facts,
  figure,
  givenName,
  markup,
  page,
  rateText,
  section,
  table,
  type Ink,
  type Markup,
} from '../report/page.js';
import { linePlot, type Series } from '../report/line-plot.js';

export async function renderDimensionsPage(report: DimensionsReport): Promise<string> {
  const fars = (report.rows[0]?.vals ?? []).filter(({ val }) => val !== null).map(({ far }) => far);
  const figures: Markup[] = [];
  for (const far of fars) figures.push(await valFigure(report, far));
  return page({
    title: `Dimensions: ${report.pack}`,
    body: [
      markup`<header>
        <p class="kicker">What is left of ${countText(report.dimensions)} dimensions of float32 when there are fewer, or one byte for each</p>
        <h1>${givenName(report.pack)}: smaller embeddings</h1>
      </header>`,
      facts([
        ['Pairs', `${countText(report.pairs)} in ${report.folds} folds`],
        ['Photos', `${countText(report.photos)}, no face in ${countText(report.facesNotFound)}`],
        ['Faces', modeText(report.mode, report.detector, report.faceChoice)],
        ['Mirror averaging', report.mirrorAveraging ? 'yes' : 'no'],
        ['Space', code(report.space)],
      ]),
      section('bytes', 'One byte a dimension', byteTable(report, fars)),
      section(
        'dimensions',
        'Fewer dimensions',
        markup`<div class="figures">${figures}</div>`,
        countTable(report, fars),
      ),
    ],
  });
}

const method =
  'Held out: thresholds and whatever is learned come from people whom the fold does not name. Differences are taken fold by fold; ± is one standard error over folds.';

function byteTable({ rows }: DimensionsReport, fars: readonly number[]): Markup {
  return rowsTable(
    rows.filter(({ kind }) => kind === 'float32' || kind.startsWith('int8')),
    fars,
  );
}

function countTable({ rows }: DimensionsReport, fars: readonly number[]): Markup {
  return rowsTable(
    rows.filter(({ kind }) => kind === 'cut' || kind === 'projected'),
    fars,
  );
}

function rowsTable(rows: readonly DimensionsRow[], fars: readonly number[]): Markup {
  return table({
    caption: method,
    columns: [
      { head: 'Embedding', kind: 'text' },
      { head: 'Dimensions', kind: 'number' },
      { head: 'Bytes', kind: 'number' },
      ...fars.map((far) => ({ head: `VAL at FAR ${rateText(far)}, and against float32`, kind: 'number' }) as const),
      { head: 'Accuracy, and against float32', kind: 'number' },
    ],
    rows: rows.map((row) => [
      compressionKinds[row.kind],
      countText(row.dimensions),
      countText(row.bytes),
      ...row.vals
        .filter(({ far }) => fars.includes(far))
        .map(({ val, difference }) => withDifference(estimateText(val), againstWhole(row, differenceText(difference)))),
      withDifference(estimateText(row.accuracy), againstWhole(row, differenceText(row.accuracyDifference))),
    ]),
    empty: '',
  });
}

const drawn: readonly { readonly kind: CompressionKind; readonly ink: Ink; readonly dash: readonly number[] }[] = [
  { kind: 'cut', ink: 'blue', dash: [] },
  { kind: 'projected', ink: 'orange', dash: [6, 4] },
];

async function valFigure(report: DimensionsReport, far: number): Promise<Markup> {
  return figure(
    await valPlot(report, far),
    markup`<strong>FAR ${rateText(far)}.</strong> Bands: one standard error over folds.`,
  );
}

/** VAL by the number of dimensions, cut and projected. */
export function valPlot({ rows, dimensions }: DimensionsReport, far: number): Promise<Markup | null> {
  const series = drawn.map(({ kind, ink, dash }): Series => {
    const points = rows
      // All first coordinates are float32.
      .filter((row) => row.kind === kind || (kind === 'cut' && row.kind === 'float32'))
      .flatMap((row) => {
        const val = row.vals.find((one) => one.far === far)?.val;
        return val ? [{ x: row.dimensions, ...val }] : [];
      })
      .toSorted((one, other) => one.x - other.x);
    return {
      name: compressionKinds[kind],
      ink,
      dash,
      points: points.map(({ x, mean }) => [x, mean]),
      band: points.map(({ x, mean, standardError }) => ({ x, low: mean - standardError, high: mean + standardError })),
    };
  });
  return linePlot({
    title: `VAL at FAR ${rateText(far)} by the number of dimensions`,
    x: { title: `Dimensions, of ${dimensions}`, scale: 'linear', ticks: 'decimal', domain: [0, dimensions] },
    y: { title: `VAL at FAR ${rateText(far)}`, scale: 'linear', ticks: 'percent' },
    series,
  });
}
