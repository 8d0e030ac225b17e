/** An identification report for people: error rates by gallery, then the thresholds behind them. Pure. */
import Table from 'cli-table3';
import type { GalleryRates, IdentificationReport } from './identification.js';
import type { FnirAtFpir, Rate } from './open-set-rates.js';

const plain = { style: { head: [], border: [], compact: true } };

export function formatIdentificationReport(report: IdentificationReport): string {
  const { galleries, searches, facesNotFound } = report;
  // The searches, and so what they support, are the same in every gallery.
  const fpirs = galleries[0]?.atFpir ?? [];
  const rates = new Table({
    ...plain,
    head: [
      'gallery',
      'search',
      'first',
      ...fpirs.map(({ fpir, support }) => `FNIR @ FPIR ${exponent(fpir)}${support === 'coarse' ? ', coarse' : ''}`),
      'recall',
    ],
  });
  for (const one of galleries)
    rates.push([
      galleryName(one),
      one.engine,
      rateText(one.rank1),
      ...one.atFpir.map(({ fnir }) => (fnir === null ? 'not measurable' : rateText(fnir))),
      one.recall === null ? '' : `${percent(one.recall.mated)}, ${percent(one.recall.nonMated)}`,
    ]);
  const thresholds = new Table({
    ...plain,
    head: [
      'gallery',
      'search',
      ...fpirs.map(({ fpir }) => `threshold @ ${exponent(fpir)}`),
      `FPIR within ${galleries[0]?.atThreshold.threshold ?? ''}`,
      'FNIR',
    ],
  });
  for (const one of galleries)
    thresholds.push([
      galleryName(one),
      one.engine,
      ...one.atFpir.map(thresholdText),
      rateText(one.atThreshold.fpir),
      rateText(one.atThreshold.fnir),
    ]);
  return [
    `${report.pack} (${report.mirrorAveraging ? 'with' : 'without'} mirror averaging), ${report.space}, ${report.provider}`,
    `${report.photos} photos of ${report.people} people, faces not found in ${facesNotFound.count} ` +
      `(${facesNotFound.enrolments} of them to be enrolled); seed ${report.seed}`,
    `${searches.mated} searches for ${searches.matedPeople} people who are enrolled, ` +
      `${searches.nonMated} for ${searches.nonMatedPeople} who are not, the same in every gallery`,
    rates.toString(),
    'First: the own identity comes first, at whatever distance. In brackets 95 % over people. Coarse: fewer than 30 false positives are behind it.',
    `Recall: how often the graph, walked with ef ${report.ef}, has the same first candidate as the exact search, in mated and in other searches.`,
    '',
    thresholds.toString(),
    'Thresholds are squared L2; in brackets the false positives within. The last two columns are at the threshold of the model pack.',
    ...(galleries.some(({ distractors }) => distractors > 0)
      ? ['Synthetic strangers are easier than as many real ones: the errors of the exact search are lower bounds.']
      : []),
    '',
  ].join('\n');
}

export function galleryName({ people, distractors }: Pick<GalleryRates, 'people' | 'distractors'>): string {
  const named = `${people.toLocaleString('en-US')} people`;
  return distractors === 0 ? named : `${named} + ${distractors.toLocaleString('en-US')} synthetic`;
}

function thresholdText({ threshold, falsePositives }: FnirAtFpir): string {
  return threshold === null ? 'not measurable' : `${threshold.toFixed(4)} (${falsePositives})`;
}

function rateText({ value, interval: [low, high] }: Rate): string {
  return `${percent(value)} (${(100 * low).toFixed(1)}-${(100 * high).toFixed(1)})`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function exponent(rate: number): string {
  return rate.toExponential(0);
}
