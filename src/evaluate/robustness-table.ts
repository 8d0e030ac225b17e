/** A robustness report for people: a line a degradation and level. Pure. */
import Table from 'cli-table3';
import { degradations } from '../embedder/degradation.js';
import { differenceText, estimateText, modeText } from './figure-text.js';
import { countText, percentText, rateText } from '../report/page.js';
import type { RobustnessReport, RobustnessRow } from './robustness.js';

export function formatRobustnessReport(report: RobustnessReport): string {
  const table = new Table({
    style: { head: [], border: [], compact: true },
    head: [
      'photos',
      `VAL @ FAR ${rateText(report.far)}`,
      'against as they are',
      'VAL in service',
      'FAR in service',
      'accuracy',
      'no face',
    ],
  });
  for (const row of report.rows) {
    table.push([
      rowText(row),
      estimateText(row.val),
      row.degradation === null ? '' : differenceText(row.valDifference),
      estimateText(row.valInService),
      row.farInService === null ? '' : rateText(row.farInService.mean),
      estimateText(row.accuracy),
      percentText(row.facesNotFound.share),
    ]);
  }
  return [
    `${report.pack}, ${modeText(report.mode, report.detector, report.faceChoice)}`,
    `${report.pairs} pairs of ${report.photos} photos in ${report.folds} folds, both photos degraded; FAR ${rateText(report.far)} is ${report.support.replace('-', ' ')}`,
    table.toString(),
    'VAL: thresholds from photos as bad, of the other folds. In service: thresholds from the photos as they are. Pairs without both faces are refused.',
    '',
  ].join('\n');
}

export function rowText({ degradation, photosUnchanged }: RobustnessRow): string {
  if (degradation === null) return 'as they are';
  const { kind, level } = degradation;
  const same = photosUnchanged === 0 ? '' : ` (${countText(photosUnchanged)} photos unchanged)`;
  return `${degradations[kind]}: ${kind === 'size' ? countText(level) : level}${same}`;
}
