/**
 * Curves on linear or logarithmic axes (ROC, DET), with bands of confidence, as SVG.
 *
 * A line is told from the others by its dashes, too. A logarithmic axis cannot show zero: such points are left out, and the caller says so.
 */
import type { Ink, Markup } from './page.js';
import {
  axis,
  clamp,
  domainOf,
  draw,
  isDrawable,
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

export interface Series {
  readonly name: string;
  readonly ink: Ink;
  /** Lengths of dash and gap, alternating; none is a solid line. */
  readonly dash: readonly number[];
  /** Ascending in x. */
  readonly points: readonly Point[];
  /** An interval of confidence around the line, ascending in x. */
  readonly band?: readonly { readonly x: number; readonly low: number; readonly high: number }[];
}

export interface LinePlot extends Titled {
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
  /** Points that stand out, by the name of their series. */
  readonly marked?: readonly { readonly series: string; readonly point: Point }[];
  readonly rules?: readonly Rule[];
}

/** Looks of lines that have no meaning of their own; more lines than looks begin again from the first. */
const looks: readonly Look[] = [
  { ink: 'blue', dash: [] },
  { ink: 'orange', dash: [6, 3] },
  { ink: 'green', dash: [2, 2] },
  { ink: 'grey', dash: [8, 3, 2, 3] },
];
export type Look = Pick<Series, 'ink' | 'dash'>;
/** As many as can be told apart. */
export const looksCount = looks.length;

export function lookOf(position: number): Look {
  return looks[position % looks.length] as Look;
}

/** Null when not a single point can be drawn. */
export async function linePlot({ title, x, y, series, marked = [], rules = [] }: LinePlot): Promise<Markup | null> {
  const drawn = series.map((one) => ({ ...one, points: one.points.filter((point) => isDrawable(point, x, y)) }));
  const shown = drawn.filter(({ points }) => points.length > 0);
  if (shown.length === 0) return null;
  const points = shown.flatMap(({ points }) => points);
  const [xDomain, yDomain] = [
    x.domain ??
      domainOf(
        points.map(([value]) => value),
        x,
      ),
    y.domain ??
      domainOf(
        points.map(([, value]) => value),
        y,
      ),
  ];
  const dots = marked
    .filter(({ series, point }) => shown.some(({ name }) => name === series) && isDrawable(point, x, y))
    .concat(
      shown
        .filter(({ points }) => points.length === 1)
        .map(({ name, points: [point] }) => ({ series: name, point: point as Point })),
    );
  return draw(title, {
    data: [
      { name: 'points', values: shown.flatMap(({ name, points }) => points.map(([x, y]) => ({ series: name, x, y }))) },
      { name: 'dots', values: dots.map(({ series, point: [x, y] }) => ({ series, x, y })) },
      {
        name: 'bands',
        values: shown.flatMap(({ name, band = [] }) =>
          band
            .filter(({ x: at }) => isDrawable([at, yDomain[1]], x, y) && at >= xDomain[0] && at <= xDomain[1])
            // What is outside the plot, or not on a logarithmic axis at all, ends at its edge.
            .map(({ x, low, high }) => ({
              series: name,
              x,
              low: clamp(low, yDomain),
              high: clamp(high, yDomain),
            })),
        ),
      },
      {
        name: 'rules',
        values: rules.filter(({ x }) => x >= xDomain[0] && x <= xDomain[1]).map(({ x, label }) => ({ x, label })),
      },
    ],
    scales: [
      ...scales(series.filter(({ points }) => points.length > 0)),
      scale('x', 'width', x, xDomain),
      scale('y', 'height', y, yDomain),
    ],
    axes: [axis('bottom', x, xDomain), axis('left', y, yDomain)],
    legends: [{ ...legendOf(shown), stroke: 'ink', strokeDash: 'dash', symbolType: 'stroke' }],
    marks: [
      ruleLines,
      {
        type: 'group',
        from: { facet: { name: 'band', data: 'bands', groupby: 'series' } },
        marks: [
          {
            type: 'area',
            from: { data: 'band' },
            encode: {
              enter: {
                x: { scale: 'x', field: 'x' },
                y: { scale: 'y', field: 'high' },
                y2: { scale: 'y', field: 'low' },
                fill: { scale: 'ink', field: 'series' },
                fillOpacity: { value: 0.18 },
              },
            },
          },
        ],
      },
      {
        type: 'group',
        from: { facet: { name: 'line', data: 'points', groupby: 'series' } },
        marks: [
          {
            type: 'line',
            from: { data: 'line' },
            encode: {
              enter: {
                ...position,
                stroke: { scale: 'ink', field: 'series' },
                strokeDash: { scale: 'dash', field: 'series' },
                strokeWidth: { value: 2 },
              },
            },
          },
        ],
      },
      {
        type: 'symbol',
        from: { data: 'dots' },
        encode: { enter: { ...position, fill: { scale: 'ink', field: 'series' }, size: { value: 50 } } },
      },
      ruleLabels,
    ],
  });
}
