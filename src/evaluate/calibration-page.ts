/** A calibration as a page: which distance lets how many strangers in, as a curve with its band, and thresholds for round rates. Pure but for the drawing. */
import type { Calibration, CalibrationPoint } from '../calibration/calibration-report.js';
import type { CalibratedThreshold } from '../calibration/gallery-calibration.js';
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
  rateText,
  section,
  table,
  timeText,
  type Markup,
} from '../report/page.js';
import { linePlot, type Series } from '../report/line-plot.js';

export async function renderCalibrationPage(calibration: Calibration): Promise<string> {
  const { gallery, space, thresholds, points } = calibration;
  const ratesOf = (kind: CalibratedThreshold['kind']): readonly CalibratedThreshold[] =>
    thresholds.filter((threshold) => threshold.kind === kind);
  return page({
    title: `Calibration of ${gallery}`,
    body: [
      markup`<h1>Calibration of ${givenName(gallery)}</h1>
        <p>Which distance lets how many strangers in, told from comparisons of the people of this gallery with each other.</p>`,
      facts([
        ['Calibrated', timeText(calibration.calibratedAt.getTime())],
        ['Space', code(space)],
        [
          'People then',
          `${countText(calibration.identityCount)} with ${countText(calibration.templateCount)} templates, ${countText(calibration.mappedCount)} of them mapped`,
        ],
        [
          'Compared',
          `${countText(calibration.probeCount)} faces with everybody: ${countText(calibration.comparisonCount)} comparisons`,
        ],
        [
          'Taken to be one person',
          `${countText(calibration.samePairCount)} ${calibration.samePairCount === 1 ? 'pair' : 'pairs'} of identities, left out`,
        ],
        ['People now', countText(calibration.searchedCount)],
      ]),
      section(
        'curves',
        'Rates by distance',
        figure(
          await curvePlot(points),
          'FPIR: strangers who are as near to somebody in the whole gallery. FMR: strangers who are as near to the one whom they claim to be. The bands hold the rates with 90 % probability.',
        ),
      ),
      section('identify', 'Thresholds of a search', thresholdTable('FPIR', ratesOf('fpir'))),
      section('verify', 'Thresholds of a verification', thresholdTable('FMR', ratesOf('fmr'))),
      section(
        'limits',
        'What this can say',
        markup`<p>The people of the gallery stand for strangers: those at the door may be nearer to each other (a family, one age group) or farther. Where fewer than 30 of the
          compared faces are as near, the rate comes from a model of the tail; where its interval ends above three times the rate, there are too few people to promise it.</p>`,
      ),
    ],
  });
}

function curvePlot(points: readonly CalibrationPoint[]): Promise<Markup | null> {
  const series = (name: string, ink: Series['ink'], dash: readonly number[], kind: 'fpir' | 'fmr'): Series => ({
    name,
    ink,
    dash,
    points: points.map((point) => [point.distance, point[kind]]),
    band: points.map((point) => ({ x: point.distance, low: point[`${kind}Low`], high: point[`${kind}High`] })),
  });
  return linePlot({
    title: 'FPIR and FMR by distance',
    x: { title: 'distance, squared L2', scale: 'linear', ticks: 'decimal' },
    y: { title: 'rate', scale: 'log', ticks: 'rate', domain: [1e-7, 1] },
    series: [series('FPIR', 'blue', [], 'fpir'), series('FMR', 'orange', [6, 3], 'fmr')],
  });
}

const supports = {
  counted: badge('good', 'counted'),
  extrapolated: badge('quiet', 'model of the tail'),
  'too-few': badge('unsure', 'too few people'),
} as const satisfies Record<CalibratedThreshold['support'], Markup>;

function thresholdTable(kind: string, thresholds: readonly CalibratedThreshold[]): Markup {
  return table({
    caption: 'The largest distances at which the rate is at most the one that is wanted.',
    columns: [
      { head: `Wanted ${kind}`, kind: 'number' },
      { head: 'Threshold', kind: 'number' },
      { head: 'At least', kind: 'number' },
      { head: 'At most', kind: 'number' },
      { head: 'Known by', kind: 'text' },
    ],
    rows: thresholds.map(({ rate, threshold, low, high, support }) => [
      rateText(rate),
      decimalText(threshold, 4),
      rateText(low),
      rateText(high),
      supports[support],
    ]),
    empty: 'No thresholds.',
  });
}
