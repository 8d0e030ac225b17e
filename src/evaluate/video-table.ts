/** A report on tracks for people: a line a frame count. Pure. */
import Table from 'cli-table3';
import type { Estimate, ValAtFar } from './error-rates.js';
import type { VideoReport } from './video.js';

/** Tracks without a face that are named in full; the JSON report has all of them. */
const namesMax = 10;

export function formatVideoReport(report: VideoReport): string {
  const { figures, pairs, tracksWithoutFace } = report;
  const fars = figures[0]?.valAtFar.map(({ far }) => far) ?? [];
  const table = new Table({
    head: [
      'first frames',
      'pairs compared',
      'accuracy',
      'over all pairs',
      'threshold',
      ...fars.map((far) => `VAL @ FAR ${far.toExponential(0)}`),
    ],
    style: { head: [], border: [], compact: true },
  });
  for (const one of figures)
    table.push([
      `${one.framesMax} (${one.framesMean.toFixed(1)} on average)`,
      one.pairsCompared,
      plusMinus(one.accuracy),
      plusMinus(one.accuracyOverall),
      one.threshold.toFixed(4),
      ...one.valAtFar.map(valText),
    ]);
  const names = tracksWithoutFace.slice(0, namesMax).join(', ');
  const more = tracksWithoutFace.length > namesMax ? `, and ${tracksWithoutFace.length - namesMax} more` : '';
  return [
    `${report.pack} (${report.mirrorAveraging ? 'with' : 'without'} mirror averaging), ${report.space}, ${report.provider}`,
    `${pairs.total} pairs of ${report.tracks} tracks in ${report.splits} splits; ${report.framesRead} frames, ` +
      `faces not found in ${report.framesWithoutFace}`,
    table.toString(),
    '± is one standard error over the splits; the threshold is the mean of theirs, of the mean squared L2 over pairs of frames.',
    ...(tracksWithoutFace.length > 0 ? [`No face in any frame of ${names}${more}: errors in "over all pairs".`] : []),
    '',
  ].join('\n');
}

function valText({ val, support }: ValAtFar): string {
  if (val === null) return 'not measurable';
  return `${plusMinus(val)}${support === 'coarse' ? ' coarse' : ''}`;
}

function plusMinus({ mean, standardError }: Estimate): string {
  return `${(100 * mean).toFixed(2)} % ± ${(100 * standardError).toFixed(2)}`;
}
