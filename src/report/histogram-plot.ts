/** Histograms of scores with their thresholds, as SVG. */
import type { Ink, Markup } from './page.js';
import {
  axis,
  domainOf,
  draw,
  legendOf,
  position,
  ruleLabels,
  ruleLines,
  scale,
  scales,
  type Axis,
  type Point,
  type Rule,
  type Titled,
} from './plot-parts.js';

export interface Histogram {
  readonly name: string;
  readonly ink: Ink;
  readonly dash: readonly number[];
  /** Share in each of equal bins over [0, binMax]. */
  readonly shares: readonly number[];
  readonly binMax: number;
}

export interface HistogramPlot extends Titled {
  readonly x: Omit<Axis, 'scale'>;
  readonly y: Omit<Axis, 'scale'>;
  readonly histograms: readonly Histogram[];
  readonly rules?: readonly Rule[];
}

/** Null when every histogram is empty. */
export async function histogramPlot({ title, x, y, histograms, rules = [] }: HistogramPlot): Promise<Markup | null> {
  const shown = histograms.filter(({ shares }) => shares.some((share) => share > 0));
  if (shown.length === 0) return null;
  const outlines = shown.map((one) => ({ ...one, points: outlineOf(one) }));
  const points = outlines.flatMap(({ points }) => points);
  const linear = { scale: 'linear' } as const;
  const filled = points.filter(([, share]) => share > 0).map(([value]) => value);
  const xDomain = x.domain ?? [0, Math.max(...filled, ...rules.map(({ x }) => x))];
  const yDomain = y.domain ?? domainOf([0, ...points.map(([, share]) => share)], { ...y, ...linear });
  return draw(title, {
    data: [
      {
        name: 'points',
        values: outlines.flatMap(({ name, points }) =>
          points.filter(([value]) => value <= xDomain[1]).map(([x, y]) => ({ series: name, x, y })),
        ),
      },
      { name: 'rules', values: rules.map(({ x, label }) => ({ x, label })) },
    ],
    scales: [
      ...scales(outlines),
      scale('x', 'width', { ...x, ...linear }, xDomain),
      scale('y', 'height', { ...y, ...linear }, yDomain),
    ],
    axes: [axis('bottom', { ...x, ...linear }, xDomain), axis('left', { ...y, ...linear }, yDomain)],
    legends: [
      {
        ...legendOf(shown),
        fill: 'ink',
        stroke: 'ink',
        strokeDash: 'dash',
        symbolType: 'square',
        symbolSize: 140,
        symbolOpacity: 0.6,
      },
    ],
    marks: [
      {
        type: 'group',
        from: { facet: { name: 'area', data: 'points', groupby: 'series' } },
        marks: [
          {
            type: 'area',
            from: { data: 'area' },
            encode: {
              enter: {
                ...position,
                y2: { scale: 'y', value: 0 },
                interpolate: { value: 'step-after' },
                fill: { scale: 'ink', field: 'series' },
                fillOpacity: { value: 0.3 },
                stroke: { scale: 'ink', field: 'series' },
                strokeDash: { scale: 'dash', field: 'series' },
                strokeWidth: { value: 1.5 },
              },
            },
          },
        ],
      },
      ruleLines,
      ruleLabels,
    ],
  });
}

/** Left edges of the bins with their shares, and the right edge of the last. */
function outlineOf({ shares, binMax }: Histogram): readonly Point[] {
  const width = binMax / shares.length;
  return [...shares.map((share, bin): Point => [bin * width, share]), [binMax, shares.at(-1) ?? 0]];
}
