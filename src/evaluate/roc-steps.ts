/** A ROC as it is drawn. Pure. */
import type { RocPoint } from './error-rates.js';
import type { Point } from '../report/plot-parts.js';
import type { BandPoint } from './roc-band.js';

/** A ROC is a staircase: VAL stays until the next impostor is let in. */
export function stepsOf(roc: readonly RocPoint[]): readonly Point[] {
  return [
    ...roc.flatMap(({ fmr, fnmr }, i): readonly Point[] => {
      const before = roc[i - 1];
      const corner: Point = [fmr, 1 - fnmr];
      return before ? [[fmr, 1 - before.fnmr], corner] : [corner];
    }),
    [1, 1],
  ];
}

/** Lowest VAL to be drawn, rounded down to a twentieth. */
export function rocFloor({ roc, rocBand }: { roc: readonly RocPoint[]; rocBand: readonly BandPoint[] }): number {
  const drawn = [...roc.filter(({ fmr }) => fmr > 0).map(({ fnmr }) => 1 - fnmr), ...rocBand.map(({ low }) => low)];
  return Math.max(0, Math.min(0.95, Math.floor(Math.min(...drawn) * 20) / 20));
}
