/**
 * Plots of error rates, as SVG: curves on linear or logarithmic axes (ROC, DET) with bands of confidence, and histograms of scores with their thresholds.
 *
 * Drawn by Vega without a browser and without a network: data are given with the specification, and nothing in a specification is an expression.
 * A line is told from the others by its dashes, too. A logarithmic axis cannot show zero: such points are left out, and the caller says so.
 * Colours are the page's variables (page.ts), with a colour for white ground where a plot stands alone.
 */
import type { Axis as VegaAxis, Legend, Mark, Scale, Spec } from 'vega';
import { markup, inkOf, type Ink, type Markup } from './page.js';

export type Point = readonly [x: number, y: number];

export interface Axis {
  readonly title: string;
  readonly scale: 'linear' | 'log';
  readonly ticks: 'percent' | 'rate' | 'decimal';
  /** Default: what the points need, rounded outwards. */
  readonly domain?: readonly [number, number] | undefined;
}

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

/** A line at one x, with a word beside it. */
export interface Rule {
  readonly x: number;
  readonly label: string;
}

/** Of any plot. */
interface Titled {
  /** What a reader who cannot see it is told. */
  readonly title: string;
}

export interface LinePlot extends Titled {
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
  /** Points that stand out, by the name of their series. */
  readonly marked?: readonly { readonly series: string; readonly point: Point }[];
  readonly rules?: readonly Rule[];
}

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

const size = { width: 400, height: 260 } as const;

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

function clamp(value: number, [low, high]: readonly [number, number]): number {
  return Math.min(high, Math.max(low, value));
}

function isDrawable([x, y]: Point, xAxis: Axis, yAxis: Axis): boolean {
  const isOn = (value: number, { scale, domain }: Axis): boolean =>
    Number.isFinite(value) &&
    (scale === 'linear' || value > 0) &&
    (domain === undefined || (value >= domain[0] && value <= domain[1]));
  return isOn(x, xAxis) && isOn(y, yAxis);
}

// ── Scales and ticks ─────────────────────────────────────────────────────────────────────────────────────────────────

/** Rounded outwards to ticks: 1, 2 or 5 times a power of ten on a logarithmic axis, twentieths of a linear one that is not in shares of bins. */
function domainOf(values: readonly number[], { scale }: Pick<Axis, 'scale'>): readonly [number, number] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (scale === 'log') {
    const [from, to] = [
      roundTicks.findLast((tick) => tick <= low * near),
      roundTicks.find((tick) => tick >= high / near),
    ];
    return from === undefined || to === undefined ? [low / 2, high * 2] : from < to ? [from, to] : [from / 2, to * 2];
  }
  const step = high - low > 0.2 ? 0.1 : high - low > 0.04 ? 0.02 : 0.005;
  const [from, to] = [Math.floor(low / step + 1e-9) * step, Math.ceil(high / step - 1e-9) * step];
  return from < to ? [from, to] : [from, from + step];
}

/** Powers of ten are not exact in binary: so near is on the tick. */
const near = 1 + 1e-9;
const roundTicks = Array.from({ length: 22 }, (_, i) => i - 12).flatMap((exponent) =>
  [1, 2, 5].map((digit) => Number(`${digit}e${exponent}`)),
);
/** More decades than this, and only the powers of ten are named. */
const fineDecadesMax = 2;

function ticksOf({ scale }: Axis, [from, to]: readonly [number, number]): readonly number[] | undefined {
  if (scale === 'linear') return undefined;
  const isFine = to / from < 10 ** fineDecadesMax * near;
  const within = roundTicks.filter((tick) => tick >= from / near && tick <= to * near);
  return isFine ? within : within.filter((tick) => tick.toExponential().startsWith('1e'));
}

function scale(name: 'x' | 'y', range: 'width' | 'height', { scale }: Axis, domain: readonly [number, number]): Scale {
  return { name, type: scale, domain: [...domain], range, zero: false, nice: false };
}

function scales(
  series: readonly { readonly name: string; readonly ink: Ink; readonly dash: readonly number[] }[],
): Scale[] {
  const domain = series.map(({ name }) => name);
  return [
    { name: 'ink', type: 'ordinal', domain, range: series.map(({ ink }) => inkOf(ink)) },
    { name: 'dash', type: 'ordinal', domain, range: series.map(({ dash }) => [...dash]) },
  ];
}

// ── What all plots share ─────────────────────────────────────────────────────────────────────────────────────────────

const position = { x: { scale: 'x', field: 'x' }, y: { scale: 'y', field: 'y' } } as const;

const formats = { percent: '.3~p', rate: '~e', decimal: '.3~f' } as const satisfies Record<Axis['ticks'], string>;

function axis(orient: 'bottom' | 'left', { title, ticks, ...rest }: Axis, domain: readonly [number, number]): VegaAxis {
  const values = ticksOf({ title, ticks, ...rest }, domain);
  return {
    orient,
    scale: orient === 'bottom' ? 'x' : 'y',
    title,
    titlePadding: 8,
    format: formats[ticks],
    grid: true,
    gridColor: inkOf('rule'),
    labelColor: inkOf('faint'),
    titleColor: inkOf('text'),
    domainColor: inkOf('faint'),
    tickColor: inkOf('faint'),
    tickCount: 6,
    labelFontSize: 12,
    titleFontSize: 12,
    titleFontWeight: 'normal',
    ...(values ? { values: [...values] } : {}),
  };
}

/** Characters beside each other that make a plot no narrower. */
const legendLineMax = 40;

/** In a line, or where names are long in two columns. */
function legendOf(series: readonly { readonly name: string }[]): Legend {
  const length = series.reduce((sum, { name }) => sum + name.length, 0);
  return { ...legend, columns: length > legendLineMax ? 2 : 4 };
}

const legend: Legend = {
  orient: 'top',
  direction: 'horizontal',
  labelFontSize: 12,
  labelColor: inkOf('text'),
  labelLimit: 220,
  symbolSize: 350,
  symbolStrokeWidth: 2,
  columnPadding: 10,
  offset: 22,
};

const ruleLines: Mark = {
  type: 'rule',
  from: { data: 'rules' },
  encode: {
    enter: {
      x: { scale: 'x', field: 'x' },
      y: { value: 0 },
      y2: { value: size.height },
      stroke: { value: inkOf('text') },
      strokeWidth: { value: 1 },
      strokeDash: { value: [2, 2] },
    },
  },
};

const ruleLabels: Mark = {
  type: 'text',
  from: { data: 'rules' },
  encode: {
    enter: {
      x: { scale: 'x', field: 'x' },
      y: { value: -6 },
      align: { value: 'center' },
      text: { field: 'label' },
      fill: { value: inkOf('text') },
      fontSize: { value: 12 },
    },
  },
};

async function draw(title: string, spec: Spec): Promise<Markup> {
  // Loaded when something is drawn: it takes a quarter of a second, which no other command should wait for.
  const { parse, View } = await import('vega');
  const view = new View(parse({ ...spec, ...size, padding: 4 }), {
    renderer: 'none',
  });
  try {
    const svg = await view.toSVG();
    const named = markup`<svg role="img" aria-label="${title}" `.html;
    return { html: svg.replace('<svg ', () => named) };
  } finally {
    view.finalize();
  }
}
