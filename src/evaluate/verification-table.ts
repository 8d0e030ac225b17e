/** A verification report for people: one fact a line, percentages with their standard errors. Pure. */
import type { ValAtFar } from './error-rates.js';
import { estimateText, modeText } from './figure-text.js';
import { percentText } from '../report/page.js';
import type { VerificationReport } from './verification.js';

/** Photos without a face that are named in full; the JSON report has all of them. */
const namesMax = 10;

export function formatVerificationReport(report: VerificationReport): string {
  const { pairs, pairsCompared, facesNotFound } = report;
  const names = facesNotFound.photos.slice(0, namesMax).join(', ');
  const more = facesNotFound.count > namesMax ? `, and ${facesNotFound.count - namesMax} more` : '';
  const rows: [string, string][] = [
    ['model pack', `${report.pack} (${report.mirrorAveraging ? 'with' : 'without'} mirror averaging)`],
    ['space', report.space],
    ['provider', report.provider],
    ['faces', modeText(report.mode, report.detector, report.faceChoice)],
    ['photos', `${report.photos}, faces not found in ${facesNotFound.count} (${percentText(facesNotFound.share)})`],
    ['pairs', `${pairs.total} in ${report.folds} folds, ${pairsCompared.total} compared`],
    ['accuracy', `${estimateText(report.accuracy)} over the pairs compared`],
    ['', `${estimateText(report.accuracyOverall)} with faces not found counted as errors`],
    ['wrong', wrongText(report)],
    ['threshold', `${report.threshold.toFixed(4)} (squared L2, mean of the folds)`],
    ...report.valAtFar.map((val): [string, string] => [`VAL @ FAR ${exponent(val.far)}`, valText(val)]),
    ['speed', report.imagesPerSecond === null ? 'all from the cache' : `${report.imagesPerSecond.toFixed(1)} images/s`],
  ];
  if (facesNotFound.count > 0) rows.push(['no face in', names + more]);
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, text]) => `${name.padEnd(width)}  ${text}\n`).join('');
}

function wrongText({ wronglyClassified }: VerificationReport): string {
  const accepts = wronglyClassified.filter(({ kind }) => kind === 'false-accept').length;
  return `${accepts} false accepts, ${wronglyClassified.length - accepts} false rejects`;
}

function valText({ support, val, realisedFar, threshold, pooledVal, far }: ValAtFar): string {
  if (!val || !realisedFar || threshold === null || pooledVal === null) {
    return `not measurable: fewer than ${Math.ceil(1 / far)} impostor pairs to choose a threshold on`;
  }
  const caution = support === 'coarse' ? ', coarse: fewer than 30 false accepts' : '';
  const realised = `FAR realised ${exponent(realisedFar.mean)}, threshold ${threshold.toFixed(4)}`;
  return `${estimateText(val)} held out, ${percentText(pooledVal)} pooled (${realised}${caution})`;
}

function exponent(rate: number): string {
  return rate === 0 ? '0' : rate.toExponential(1).replace('.0', '');
}
