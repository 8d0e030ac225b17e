/** A report on compressed embeddings for people: a line a way, with the difference to float32. Pure. */
import Table from 'cli-table3';
import { compressionKinds } from './compression.js';
import type { DimensionsReport, DimensionsRow } from './dimensions.js';
import { differenceText, estimateText, modeText } from './figure-text.js';
import { rateText } from '../report/page.js';

export function formatDimensionsReport(report: DimensionsReport): string {
  const fars = (report.rows[0]?.vals ?? []).filter(({ val }) => val !== null).map(({ far }) => far);
  const table = new Table({
    style: { head: [], border: [], compact: true },
    head: [
      'embedding',
      'dimensions',
      'bytes',
      ...fars.flatMap((far) => [`VAL @ FAR ${rateText(far)}`, 'against float32']),
      'accuracy',
      'against float32',
    ],
  });
  for (const row of report.rows) {
    table.push([
      compressionKinds[row.kind],
      row.dimensions,
      row.bytes,
      ...row.vals
        .filter(({ far }) => fars.includes(far))
        .flatMap(({ val, difference }) => [estimateText(val), againstWhole(row, differenceText(difference))]),
      estimateText(row.accuracy),
      againstWhole(row, differenceText(row.accuracyDifference)),
    ]);
  }
  return [
    `${report.pack}, ${modeText(report.mode, report.detector, report.faceChoice)}`,
    `${report.pairs} pairs of ${report.photos} photos in ${report.folds} folds, faces not found in ${report.facesNotFound}`,
    table.toString(),
    'Held out: thresholds, components, centres and scales come from the other folds, whose people the fold does not name. ± one standard error over folds.',
    '',
  ].join('\n');
}

/** What is compared with itself differs by nothing, which says nothing. */
export function againstWhole({ kind }: DimensionsRow, text: string): string {
  return kind === 'float32' ? '' : text;
}
