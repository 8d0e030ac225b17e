/** Points in a plane whose axes mean nothing, such as a map of faces, as SVG. */
import type { Ink, Markup } from './page.js';
import { draw, legendOf, position, scales, size, type Point, type Titled } from './plot-parts.js';

export interface Cloud {
  readonly name: string;
  readonly ink: Ink;
  readonly points: readonly Point[];
}

export interface ScatterPlot extends Titled {
  /** Drawn in this order, the last on top. */
  readonly clouds: readonly Cloud[];
  /** Lines between points that belong together. */
  readonly links?: readonly (readonly [Point, Point])[];
}

/** Square pixels of a dot among many, and of one that stands out. */
const dot = { many: 7, few: 26 } as const;
const manyMin = 400;

/** Null when there is not a single point. */
export async function scatterPlot({ title, clouds, links = [] }: ScatterPlot): Promise<Markup | null> {
  const shown = clouds.filter(({ points }) => points.length > 0);
  const all = shown.flatMap(({ points }) => points);
  if (all.length === 0) return null;
  const domain = (axis: 0 | 1): [number, number] => {
    const values = all.map((point) => point[axis]);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const margin = 0.04 * (high - low || 1);
    return [low - margin, high + margin];
  };
  return draw(title, {
    // A map has no axes, and so more room.
    height: size.width * 0.8,
    data: [
      {
        name: 'points',
        values: shown.flatMap(({ name, points }) =>
          points.map(([x, y]) => ({ series: name, x, y, size: points.length >= manyMin ? dot.many : dot.few })),
        ),
      },
      { name: 'links', values: links.map(([[x, y], [x2, y2]]) => ({ x, y, x2, y2 })) },
    ],
    scales: [
      ...scales(shown.map((cloud) => ({ ...cloud, dash: [] }))),
      { name: 'x', type: 'linear', domain: domain(0), range: 'width', zero: false, nice: false },
      { name: 'y', type: 'linear', domain: domain(1), range: 'height', zero: false, nice: false },
    ],
    legends: [{ ...legendOf(shown), fill: 'ink', symbolType: 'circle', symbolSize: 60, offset: 8 }],
    marks: [
      {
        type: 'rule',
        from: { data: 'links' },
        encode: {
          enter: {
            ...position,
            x2: { scale: 'x', field: 'x2' },
            y2: { scale: 'y', field: 'y2' },
            stroke: { value: 'currentColor' },
            strokeWidth: { value: 1 },
            opacity: { value: 0.6 },
          },
        },
      },
      {
        type: 'symbol',
        from: { data: 'points' },
        encode: {
          enter: {
            ...position,
            fill: { scale: 'ink', field: 'series' },
            fillOpacity: { value: 0.75 },
            size: { field: 'size' },
          },
        },
      },
    ],
  });
}
