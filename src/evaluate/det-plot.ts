/** Detection error trade-offs: FNIR by FPIR, on logarithmic axes. Pure but for the drawing. */
import { linePlot, lookOf, type Series } from '../report/line-plot.js';
import type { Markup } from '../report/page.js';
import type { DetPoint } from './open-set-rates.js';

export interface NamedDet {
  readonly name: string;
  readonly det: readonly DetPoint[];
}

/** A curve each, with the band of confidence of the first: several would hide each other. */
export function detPlot(curves: readonly NamedDet[]): Promise<Markup | null> {
  const series = curves.map(({ name, det }, i): Series => {
    const points = det.toReversed();
    return {
      name,
      ...lookOf(i),
      points: points.map(({ fpir, fnir }) => [fpir, fnir.value] as const),
      ...(i === 0 && {
        band: points.map(({ fpir, fnir: { interval } }) => ({ x: fpir, low: interval[0], high: interval[1] })),
      }),
    };
  });
  return linePlot({
    title: 'Detection error trade-off: FNIR by FPIR',
    x: { title: 'FPIR', scale: 'log', ticks: 'rate' },
    y: { title: 'FNIR', scale: 'log', ticks: 'percent', domain: domainAround(series) },
    series,
  });
}

/** A logarithmic axis with all of the bands on it; undefined, which leaves it to the plot, where there is nothing to show. */
export function domainAround(series: readonly Series[]): readonly [number, number] | undefined {
  const values = series
    .flatMap(({ points, band = [] }) => [
      ...points.map(([, value]) => value),
      ...band.flatMap(({ low, high }) => [low, high]),
    ])
    .filter((value) => value > 0);
  if (values.length === 0) return undefined;
  const decade = (value: number): number => 10 ** Math.floor(Math.log10(value));
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const from = [5, 2, 1].map((digit) => digit * decade(low)).find((tick) => tick <= low) ?? low;
  const to = [1, 2, 5, 10].map((digit) => digit * decade(high)).find((tick) => tick >= high) ?? high;
  return from < to ? [from, to] : [from / 2, to];
}
