/**
 * What all plots have in common: axes with ticks, inks, legends, and the drawing itself.
 *
 * Drawn by Vega without a browser and without a network: data are given with the specification, and nothing in a specification is an expression.
 * Colours are the page's variables (page.ts), with a colour for white ground where a plot stands alone.
 */
import type { Axis as VegaAxis, Legend, Mark, Scale, Spec } from 'vega';
import { markup, inkOf, type Ink, type Markup } from './page.js';

export type Point = readonly [x: number, y: number];

export interface Axis {
  readonly title: string;
  readonly scale: 'linear' | 'log';
  readonly ticks: 'percent' | 'rate' | 'decimal' | 'count';
  /** Default: what the points need, rounded outwards. */
  readonly domain?: readonly [number, number] | undefined;
}

/** A line at one x, with a word beside it. */
export interface Rule {
  readonly x: number;
  readonly label: string;
}

/** Of any plot. */
export interface Titled {
  /** What a reader who cannot see it is told. */
  readonly title: string;
}
export const size = { width: 400, height: 260 } as const;
export function clamp(value: number, [low, high]: readonly [number, number]): number {
  return Math.min(high, Math.max(low, value));
}

export function isDrawable([x, y]: Point, xAxis: Axis, yAxis: Axis): boolean {
  const isOn = (value: number, { scale, domain }: Axis): boolean =>
    Number.isFinite(value) &&
    (scale === 'linear' || value > 0) &&
    (domain === undefined || (value >= domain[0] && value <= domain[1]));
  return isOn(x, xAxis) && isOn(y, yAxis);
}

// ── Scales and ticks ─────────────────────────────────────────────────────────────────────────────────────────────────

/** Rounded outwards to ticks: 1, 2 or 5 times a power of ten on a logarithmic axis, twentieths of a linear one that is not in shares of bins. */
export function domainOf(values: readonly number[], { scale }: Pick<Axis, 'scale'>): readonly [number, number] {
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

export function scale(
  name: 'x' | 'y',
  range: 'width' | 'height',
  { scale }: Axis,
  domain: readonly [number, number],
): Scale {
  return { name, type: scale, domain: [...domain], range, zero: false, nice: false };
}

export function scales(
  series: readonly { readonly name: string; readonly ink: Ink; readonly dash: readonly number[] }[],
): Scale[] {
  const domain = series.map(({ name }) => name);
  return [
    { name: 'ink', type: 'ordinal', domain, range: series.map(({ ink }) => inkOf(ink)) },
    { name: 'dash', type: 'ordinal', domain, range: series.map(({ dash }) => [...dash]) },
  ];
}

// ── What all plots share ─────────────────────────────────────────────────────────────────────────────────────────────

export const position = { x: { scale: 'x', field: 'x' }, y: { scale: 'y', field: 'y' } } as const;

const formats = { percent: '.3~p', rate: '~e', decimal: '.3~f', count: ',' } as const satisfies Record<
  Axis['ticks'],
  string
>;

export function axis(
  orient: 'bottom' | 'left',
  { title, ticks, ...rest }: Axis,
  domain: readonly [number, number],
): VegaAxis {
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
export function legendOf(series: readonly { readonly name: string }[]): Legend {
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

export const ruleLines: Mark = {
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

export const ruleLabels: Mark = {
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

export async function draw(title: string, spec: Spec): Promise<Markup> {
  // Loaded when something is drawn: it takes a quarter of a second, which no other command should wait for.
  const { parse, View } = await import('vega');
  const view = new View(parse({ ...size, ...spec, padding: 4 }), {
    renderer: 'none',
  });
  try {
    const svg = await view.toSVG();
    const named = markup`<svg role="img" aria-label="${title}" `.html;
    return { html: rounded(svg).replace('<svg ', () => named) };
  } finally {
    view.finalize();
  }
}

/** To hundredths of a pixel, which nobody sees and which make a third of a drawing of many points. */
function rounded(svg: string): string {
  return svg.replace(/ (?:transform|d|x2|y2)="[^"]*"/g, (attribute) =>
    attribute.replace(/-?\d+\.\d{3,}(?:e-\d+)?/g, (number) => String(Math.round(100 * Number(number)) / 100)),
  );
}
