/** A rollout report for people: error rates by way of comparing, then how the adapter was chosen. Pure. */
import Table from 'cli-table3';
import type { RolloutReport, ValFigure } from './rollout.js';

const plain = { style: { head: [], border: [], compact: true } };

export function formatRolloutReport(report: RolloutReport): string {
  const fars = report.updateGain.map(({ far }) => far);
  const rates = new Table({
    ...plain,
    head: [
      '',
      ...fars.map((far) => `VAL @ FAR ${exponent(far)}`),
      ...fpirsOf(report).map((fpir) => `FNIR @ FPIR ${exponent(fpir)}`),
    ],
  });
  for (const { name, vals, fnirs } of report.rows)
    rates.push([name, ...vals.map(valText), ...fnirs.map(({ fnir }) => percent(fnir))]);
  rates.push([
    'update gain',
    ...report.updateGain.map(({ gain }) => (gain === null ? '-' : gain.toFixed(2))),
    ...fpirsOf(report).map(() => ''),
  ]);
  const rungs = new Table({ ...plain, head: ['estimator', 'VAL', 'behind the best', 'FNIR', 'chosen'] });
  const first = report.selections[0];
  for (const { name, val, behindBest, standardError, fnir } of first?.scores ?? []) {
    const count = report.selections.filter(({ chosen }) => chosen.name === name).length;
    rungs.push([
      name,
      percent(val),
      `${percent(behindBest)} ± ${percent(standardError)}`,
      percent(fnir),
      count === 0 ? '' : `${count} of ${report.selections.length}`,
    ]);
  }
  return [
    `${report.from} -> ${report.to}`,
    `${report.images} images of ${report.people} people tested, fitted on ${report.fitPeople.join(', ')} people; ` +
      `${report.genuineComparisons} genuine and ${report.impostorComparisons} impostor comparisons`,
    rates.toString(),
    'In brackets 95 % over people. Update gain: 0 is staying, 1 is enrolling everybody again.',
    '',
    'Selection within the first fit, on people outside each fold:',
    rungs.toString(),
    '',
  ].join('\n');
}

function fpirsOf({ rows }: RolloutReport): readonly number[] {
  return rows[0]?.fnirs.map(({ fpir }) => fpir) ?? [];
}

function valText({ val, interval, support }: ValFigure): string {
  if (val === null || interval === null) return 'not measurable';
  const [low, high] = interval;
  return `${(100 * val).toFixed(1)} % (${(100 * low).toFixed(1)}-${(100 * high).toFixed(1)})${support === 'coarse' ? ' coarse' : ''}`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function exponent(rate: number): string {
  return rate.toExponential(0);
}
