/** Packs side by side for people: a line a pack, with the differences to the first. Pure. */
import Table from 'cli-table3';
import { differenceText, estimateText, modeText } from './figure-text.js';
import type { PackComparisonReport } from './pack-comparison.js';
import { decimalText, percentText, rateText } from '../report/page.js';

export function formatPackComparison({ packs }: PackComparisonReport): string {
  const [first] = packs;
  if (!first) return '';
  const fars = first.vals.filter(({ val }) => val !== null).map(({ far }) => far);
  const table = new Table({
    style: { head: [], border: [], compact: true },
    head: [
      'pack',
      'accuracy',
      'against the first',
      ...fars.flatMap((far) => [`VAL @ FAR ${rateText(far)}`, 'against the first']),
      'threshold',
      'no face',
      'images/s',
    ],
  });
  for (const pack of packs) {
    const { report, vals, accuracyDifference } = pack;
    const against = (text: string): string => (pack === first ? '' : text);
    table.push([
      report.pack,
      estimateText(report.accuracyOverall),
      against(differenceText(accuracyDifference)),
      ...vals
        .filter(({ far }) => fars.includes(far))
        .flatMap(({ val, difference }) => [estimateText(val), against(differenceText(difference))]),
      decimalText(report.threshold, 4),
      percentText(report.facesNotFound.share),
      report.imagesPerSecond === null ? 'from cache' : report.imagesPerSecond.toFixed(1),
    ]);
  }
  const { report } = first;
  return [
    `${report.pairs.total} pairs of ${report.photos} photos in ${report.folds} folds, ${modeText(report.mode, report.detector, report.faceChoice)}`,
    table.toString(),
    'Held out; pairs without both faces are refused, and errors. Differences are taken fold by fold; ± one standard error over folds.',
    '',
  ].join('\n');
}
