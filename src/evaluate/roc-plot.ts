/** ROCs of verifications of the same pairs, with their bands of confidence. Pure but for the drawing. */
import { linePlot, lookOf } from '../report/line-plot.js';
import type { Markup } from '../report/page.js';
import { rocFloor, stepsOf } from './roc-steps.js';
import type { VerificationReport } from './verification.js';

/** @param reports at least one; a line each, called after its pack */
export function rocPlot(reports: readonly VerificationReport[]): Promise<Markup | null> {
  const impostors = Math.max(...reports.map(({ pairsCompared }) => pairsCompared.impostor));
  return linePlot({
    title: `ROC of ${reports.map(({ pack }) => pack).join(', ')}: VAL over FAR, with 95 % of confidence`,
    x: { title: 'FAR: share of impostor pairs accepted', scale: 'log', ticks: 'rate', domain: [1 / impostors, 1] },
    y: {
      title: 'VAL: share of genuine pairs accepted',
      scale: 'linear',
      ticks: 'percent',
      domain: [Math.min(...reports.map(rocFloor)), 1],
    },
    series: reports.map(({ pack, roc, rocBand }, i) => ({
      name: pack,
      ...lookOf(i),
      points: stepsOf(roc),
      band: rocBand.map(({ far, low, high }) => ({ x: far, low, high })),
    })),
  });
}
