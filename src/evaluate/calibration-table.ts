/** What an evaluation of calibrations says, as text: what was asked for and what came. Pure. */
import type { CalibrationEvaluation, RealisedRate } from './calibration.js';

export function formatCalibrationEvaluation(report: CalibrationEvaluation): string {
  const { pack, people, photos, facesNotFound, draws, galleries } = report;
  const lines = [
    `model pack  ${pack}`,
    `photos      ${photos} of ${people} people, faces not found in ${facesNotFound}`,
    `draws       ${draws} of who is enrolled; the others are strangers`,
  ];
  for (const { size, strangers, rates, samePairs } of galleries) {
    const { there, found, wrong } = samePairs;
    lines.push(
      '',
      `${size} people enrolled, ${strangers} strangers; one person under two names: ${there} pairs in all draws, ${found} of them found, ${wrong} others`,
      row(['asked for', 'realised', 'of it', 'nine of ten draws', 'threshold']),
      ...rates.map(rateRow),
    );
  }
  return `${lines.join('\n')}\n`;
}

function rateRow({ kind, asked, realised, low, high, threshold }: RealisedRate): string {
  return row([
    `${kind.toUpperCase()} ${asked}`,
    `${shown(realised.mean)} ± ${shown(realised.standardError)}`,
    (realised.mean / asked).toFixed(2),
    `${shown(low)} to ${shown(high)}`,
    threshold.toFixed(4),
  ]);
}

function row(cells: readonly string[]): string {
  const widths = [13, 22, 7, 22, 0];
  return cells
    .map((cell, i) => cell.padEnd(widths[i] ?? 0))
    .join('')
    .trimEnd();
}

function shown(rate: number): string {
  const rounded = Number(rate.toPrecision(2));
  return rounded === 0 || rounded >= 1e-3 ? `${rounded}` : rounded.toExponential();
}
