/** The distances of a verification's pairs, with its threshold. Pure but for the drawing. */
import { histogramPlot } from '../report/histogram-plot.js';
import { decimalText, type Markup } from '../report/page.js';
import type { VerificationReport } from './verification.js';

export function distancePlot({ histograms, threshold }: VerificationReport): Promise<Markup | null> {
  return histogramPlot({
    title: `Histogram of the distances of genuine and impostor pairs, with the threshold ${decimalText(threshold, 3)}`,
    x: { title: 'Squared L2 distance', ticks: 'decimal' },
    y: { title: 'Share in a bin', ticks: 'percent' },
    histograms: [
      { name: 'Genuine', ink: 'blue', dash: [], shares: histograms.genuine, binMax: 4 },
      { name: 'Impostor', ink: 'orange', dash: [4, 2], shares: histograms.impostor, binMax: 4 },
    ],
    rules: [{ x: threshold, label: `threshold ${decimalText(threshold, 3)}` }],
  });
}
