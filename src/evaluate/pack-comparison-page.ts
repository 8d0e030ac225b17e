/** Packs side by side as one HTML page: the figures with their differences, one ROC of all. Pure: every figure is one of the report's. */
import { differenceText, estimateText, modeText, withDifference } from './figure-text.js';
import type { ComparedPack, PackComparisonReport } from './pack-comparison.js';
import {
  countText,
  decimalText,
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
import { rocPlot } from './roc-plot.js';

export async function renderPackComparisonPage({ packs }: PackComparisonReport): Promise<string> {
  const report = packs[0]?.report;
  return page({
    title: `Comparison: ${packs.map((pack) => pack.report.pack).join(', ')}`,
    body: [
      markup`<header>
        <p class="kicker">One-to-one verification on the same photos and pairs</p>
        <h1>${packs.map((pack, i) => markup`${i === 0 ? '' : ' · '}${givenName(pack.report.pack)}`)}</h1>
      </header>`,
      report
        ? facts([
            ['Pairs', `${countText(report.pairs.total)} in ${report.folds} folds`],
            ['Photos', countText(report.photos)],
            ['Faces', modeText(report.mode, report.detector, report.faceChoice)],
          ])
        : markup``,
      section('packs', 'Packs', packTable(packs)),
      section('val', 'VAL at FAR', valTable(packs)),
      section('roc', 'All thresholds', await rocFigure(packs)),
    ],
  });
}

function packTable(packs: readonly ComparedPack[]): Markup {
  return table({
    caption:
      'Accuracy with faces not found as errors; differences are to the first pack, fold by fold. Held out; ± is one standard error over folds. Thresholds are squared L2, each in its own space.',
    columns: [
      { head: 'Pack', kind: 'text' },
      { head: 'Accuracy', kind: 'number' },
      { head: 'Against the first', kind: 'number' },
      { head: 'Threshold', kind: 'number' },
      { head: 'No face found', kind: 'number' },
      { head: 'Images a second', kind: 'number' },
      { head: 'Mirror averaging', kind: 'text' },
    ],
    rows: packs.map(({ report, accuracyDifference }, i) => [
      givenName(report.pack),
      estimateText(report.accuracyOverall),
      i === 0 ? '–' : differenceText(accuracyDifference),
      decimalText(report.threshold, 4),
      percentText(report.facesNotFound.share),
      report.imagesPerSecond === null ? 'from the cache' : report.imagesPerSecond.toFixed(1),
      report.mirrorAveraging ? 'yes' : 'no',
    ]),
    empty: '',
  });
}

function valTable(packs: readonly ComparedPack[]): Markup {
  const fars = (packs[0]?.vals ?? []).filter(({ val }) => val !== null);
  return table({
    caption:
      'A pair whose faces were not both found is refused. Coarse: fewer than 30 false accepts to choose a threshold by.',
    columns: [
      { head: 'Pack', kind: 'text' },
      ...fars.map(
        ({ far, support }) =>
          ({ head: `VAL at FAR ${rateText(far)} (${support}), and against the first`, kind: 'number' }) as const,
      ),
    ],
    rows: packs.map(({ report, vals }, i) => [
      givenName(report.pack),
      ...fars.map(({ far }) => {
        const found = vals.find((one) => one.far === far);
        return withDifference(
          estimateText(found?.val ?? null),
          i === 0 ? '' : differenceText(found?.difference ?? null),
        );
      }),
    ]),
    empty: '',
  });
}

async function rocFigure(packs: readonly ComparedPack[]): Promise<Markup> {
  return figure(
    await rocPlot(packs.map(({ report }) => report)),
    markup`<strong>ROC.</strong> Higher is better. Bands: 95 % at each FAR, people drawn anew. They overlap more than the
      packs differ: the pairs are the same, and the differences in the tables are taken fold by fold.`,
  );
}
