/**
 * A small stroke font: text as lines, so that annotated pictures look the same on every machine.
 *
 * Labels drawn with SVG `<text>` need fonts of the system, and a container with nothing but Node has none. These glyphs
 * were drawn for this project. They cover printable ASCII; accents are dropped (`é` is drawn as `e`). A text in another
 * script is left to the fonts of the system, with an estimated width. Pure.
 *
 * Units: capitals are 10 high (0 is their top, 10 the base line, 3 the top of `x`, 13 the lowest descender).
 */

/** A glyph: its width without spacing, and an SVG path. */
type Glyph = readonly [width: number, path: string];

const bowl = 'M2.6 3A2.6 3.5 0 0 0 2.6 10A2.6 3.5 0 0 0 2.6 3Z';

const glyphs: Readonly<Record<string, Glyph>> = {
  ' ': [2.4, ''],
  '!': [0, 'M0 0V6.8M0 9.9V10'],
  '"': [1.8, 'M0 0V2.6M1.8 0V2.6'],
  '#': [6, 'M2 1L1.2 9.4M5 1L4.2 9.4M.4 3.6H6M0 6.8H5.8'],
  $: [6, 'M5.7 2.6C5.2 1.6 4.3 1 3 1C1.4 1 .3 1.8 .3 3.1C.3 6 6 4.4 6 7C6 8.3 4.8 9 3 9C1.4 9 .3 8.4 0 7.2M3 -.4V10.4'],
  '%': [
    8.4,
    'M1.8 0A1.8 2.2 0 0 0 1.8 4.4A1.8 2.2 0 0 0 1.8 0ZM6.6 5.6A1.8 2.2 0 0 0 6.6 10A1.8 2.2 0 0 0 6.6 5.6ZM7 0L1.4 10',
  ],
  '&': [
    6.4,
    'M6.4 10L1.8 3.6C.2 1.2 1.2 0 2.7 0C4.2 0 5 1.6 3.9 3C3 4.2 0 4.8 0 7.4C0 9 1.1 10 2.7 10C4.8 10 6 8.4 6.3 5.8',
  ],
  "'": [0, 'M0 0V2.6'],
  '(': [2, 'M2.2 -.8C-.6 2.6 -.6 8.4 2.2 11.8'],
  ')': [2, 'M-.2 -.8C2.6 2.6 2.6 8.4 -.2 11.8'],
  '*': [4.4, 'M2.2 .4V4.8M.2 1.4L4.2 3.8M4.2 1.4L.2 3.8'],
  '+': [5.4, 'M0 6H5.4M2.7 3.3V8.7'],
  ',': [0.4, 'M.4 9.8L-.2 11.6'],
  '-': [3.4, 'M0 6.2H3.4'],
  '.': [0, 'M0 9.9V10'],
  '/': [4.4, 'M0 11L4.4 -.6'],
  '0': [6, 'M3 0A3 5 0 0 0 3 10A3 5 0 0 0 3 0Z'],
  '1': [6, 'M1.2 2L3.6 0V10'],
  '2': [6, 'M.2 2.6C.4 1 1.5 0 3 0C4.7 0 5.8 1.1 5.8 2.7C5.8 5 0 8 0 10H6'],
  '3': [
    6,
    'M.3 1.6C.9 .5 1.8 0 3 0C4.6 0 5.6 1 5.6 2.5C5.6 4 4.5 4.8 2.6 4.8C4.8 4.8 6 5.8 6 7.3C6 9 4.8 10 3 10C1.6 10 .5 9.4 0 8.2',
  ],
  '4': [6, 'M4.6 10V0L0 7H6'],
  '5': [6, 'M5.5 0H1L.4 4.8C1.2 4 2 3.7 3 3.7C4.8 3.7 6 5 6 6.8C6 8.7 4.8 10 2.9 10C1.6 10 .6 9.4 0 8.4'],
  '6': [6, 'M5.2 .9C3 -.6 0 .6 0 6.9M3 10A3 3.1 0 0 1 3 3.8A3 3.1 0 0 1 3 10Z'],
  '7': [6, 'M0 0H6L2.2 10'],
  '8': [6, 'M3 4.7A2.6 2.35 0 0 1 3 0A2.6 2.35 0 0 1 3 4.7ZM3 10A3 2.65 0 0 1 3 4.7A3 2.65 0 0 1 3 10Z'],
  '9': [6, 'M.8 9.1C3 10.6 6 9.4 6 3.1M3 0A3 3.1 0 0 1 3 6.2A3 3.1 0 0 1 3 0Z'],
  ':': [0, 'M0 4.4V4.5M0 9.8V9.9'],
  ';': [0.4, 'M.2 4.4V4.5M.4 9.8L-.2 11.6'],
  '<': [5, 'M5 3L0 6L5 9'],
  '=': [5.2, 'M0 4.6H5.2M0 7.4H5.2'],
  '>': [5, 'M0 3L5 6L0 9'],
  '?': [5.2, 'M0 2.2C.2 .8 1.2 0 2.6 0C4.2 0 5.2 1 5.2 2.4C5.2 4.6 2.6 4.6 2.6 7.2M2.6 9.9V10'],
  '@': [
    9,
    'M6.6 3.4V6.6C6.6 8.4 9 8.2 9 5.4C9 2.4 7.2 .4 4.6 .4C2 .4 0 2.4 0 5.6C0 8.8 2 11 4.8 11C5.9 11 6.7 10.8 7.4 10.3M4.6 3.4A2 2.2 0 0 0 4.6 7.8A2 2.2 0 0 0 4.6 3.4Z',
  ],
  A: [7, 'M0 10L3.5 0L7 10M1.3 6.5H5.7'],
  B: [6, 'M0 4.8H3.2A2.4 2.4 0 0 0 3.2 0H0V10H3.4A2.6 2.6 0 0 0 3.4 4.8'],
  C: [7, 'M7 2.2A4 5 0 1 0 7 7.8'],
  D: [7, 'M0 0V10H2.2A4.8 5 0 0 0 2.2 0Z'],
  E: [5.5, 'M5.5 0H0V10H5.5M0 4.9H4.6'],
  F: [5.5, 'M5.5 0H0V10M0 4.9H4.6'],
  G: [7.2, 'M7 2.2A4 5 0 1 0 7.2 7.6V5.4H4.2'],
  H: [7, 'M0 0V10M7 0V10M0 4.9H7'],
  I: [0, 'M0 0V10'],
  J: [4.5, 'M4.5 0V7.4A2.25 2.6 0 0 1 0 7.4'],
  K: [6.4, 'M0 0V10M6.2 0L0 6.2M2.2 4.1L6.4 10'],
  L: [5.2, 'M0 0V10H5.2'],
  M: [8, 'M0 10V0L4 7L8 0V10'],
  N: [7, 'M0 10V0L7 10V0'],
  O: [8, 'M4 0A4 5 0 0 0 4 10A4 5 0 0 0 4 0Z'],
  P: [5.9, 'M0 10V0H3.2A2.7 2.7 0 0 1 3.2 5.4H0'],
  Q: [8, 'M4 0A4 5 0 0 0 4 10A4 5 0 0 0 4 0ZM5 7L8 10.6'],
  R: [6.2, 'M0 10V0H3.2A2.7 2.7 0 0 1 3.2 5.4H0M3 5.4L6.2 10'],
  S: [6, 'M5.7 2C5.3 .7 4.3 0 3 0C1.3 0 .3 1 .3 2.5C.3 5.8 6 4 6 7.4C6 9 4.7 10 3 10C1.4 10 .2 9.2 0 7.8'],
  T: [6.6, 'M0 0H6.6M3.3 0V10'],
  U: [6.8, 'M0 0V6.4A3.4 3.6 0 0 0 6.8 6.4V0'],
  V: [7, 'M0 0L3.5 10L7 0'],
  W: [10, 'M0 0L2.6 10L5 1.6L7.4 10L10 0'],
  X: [6.6, 'M0 0L6.6 10M6.6 0L0 10'],
  Y: [6.6, 'M0 0L3.3 5V10M6.6 0L3.3 5'],
  Z: [6.2, 'M0 0H6.2L0 10H6.2'],
  '[': [2, 'M2 -.6H0V11.4H2'],
  '\\': [4.4, 'M0 -.6L4.4 11'],
  ']': [2, 'M0 -.6H2V11.4H0'],
  '^': [4.4, 'M0 3.4L2.2 0L4.4 3.4'],
  _: [5.4, 'M0 11.4H5.4'],
  '`': [1.2, 'M0 0L1.2 1.6'],
  a: [5.2, `${bowl}M5.2 3V10`],
  b: [5.2, `${bowl}M0 0V10`],
  c: [4.6, 'M4.7 4.4A2.6 3.5 0 1 0 4.7 8.6'],
  d: [5.2, `${bowl}M5.2 0V10`],
  e: [5.2, 'M0 6.4H5.2A2.6 3.45 0 1 0 4.6 8.7'],
  f: [3.2, 'M3.4 .2C1.8 -.3 1.2 .8 1.2 2.2V10M0 3.4H3'],
  g: [5.2, `${bowl}M5.2 3V10.6A2.6 2.4 0 0 1 .4 11.8`],
  h: [5, 'M0 0V10M0 5.6A2.5 2.6 0 0 1 5 5.6V10'],
  i: [0, 'M0 3.2V10M0 .6V.7'],
  j: [1.4, 'M1.4 3.2V11A1.6 1.9 0 0 1 -.4 12.8M1.4 .6V.7'],
  k: [4.8, 'M0 0V10M4.4 3.2L0 7.4M1.7 5.9L4.8 10'],
  l: [0, 'M0 0V10'],
  m: [8, 'M0 3V10M0 5.4A2 2.4 0 0 1 4 5.4V10M4 5.4A2 2.4 0 0 1 8 5.4V10'],
  n: [5, 'M0 3V10M0 5.6A2.5 2.6 0 0 1 5 5.6V10'],
  o: [5.2, bowl],
  p: [5.2, `${bowl}M0 3V13`],
  q: [5.2, `${bowl}M5.2 3V13`],
  r: [3, 'M0 3V10M0 6.2C.2 4 1.4 3 3.2 3.2'],
  s: [
    4.4,
    'M4.3 4.4C4 3.5 3.2 3 2.2 3C1 3 .2 3.7 .2 4.8C.2 7 4.5 5.8 4.5 8.1C4.5 9.3 3.5 10 2.3 10C1.1 10 .3 9.4 0 8.5',
  ],
  t: [3.2, 'M1.2 .8V8A1.9 1.9 0 0 0 3.4 9.8M0 3.2H3.2'],
  u: [5, 'M0 3V7.4A2.5 2.6 0 0 0 5 7.4M5 3V10'],
  v: [5, 'M0 3L2.5 10L5 3'],
  w: [7.6, 'M0 3L1.9 10L3.8 4L5.7 10L7.6 3'],
  x: [4.8, 'M0 3L4.8 10M4.8 3L0 10'],
  y: [5, 'M0 3L2.5 9.8M5 3L2.2 11.6C1.8 12.7 1.2 13 0 12.9'],
  z: [4.4, 'M0 3H4.4L0 10H4.4'],
  '{': [2.4, 'M2.4 -.6C.6 -.6 1.6 5.4 0 5.4C1.6 5.4 .6 11.4 2.4 11.4'],
  '|': [0, 'M0 -.6V11.4'],
  '}': [2.4, 'M0 -.6C1.8 -.6 .8 5.4 2.4 5.4C.8 5.4 1.8 11.4 0 11.4'],
  '~': [5, 'M0 6.6C1.2 4.6 3.6 7.8 5 5.6'],
};

/** Space between two glyphs. */
const spacing = 2.3;

/** Height of a capital in glyph units; `size / capitalHeight` scales. */
const capitalHeight = 10;

/** For texts that are left to the system: size of its font and estimated widths, in capital heights. */
const systemFont = { size: 1.37, width: 0.85, wideWidth: 1.4 } as const;
const wideScripts = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Extended_Pictographic}]/u;

/** The glyphs of `text`; undefined when one is missing. */
function glyphsOf(text: string): readonly Glyph[] | undefined {
  const row = [...text.normalize('NFKD').replaceAll(/\p{M}/gu, '')].map((character) => glyphs[character]);
  return row.every((glyph) => glyph !== undefined) ? row : undefined;
}

/** Width of `text` when its capitals are `capitalPx` high, pixels; without space before or after. */
export function textWidthPx(text: string, capitalPx: number): number {
  const row = glyphsOf(text);
  if (row) {
    const units = row.reduce((sum, [width]) => sum + width, 0) + spacing * Math.max(0, row.length - 1);
    return (units * capitalPx) / capitalHeight;
  }
  const widths = [...text].map((character) => (wideScripts.test(character) ? systemFont.wideWidth : systemFont.width));
  return widths.reduce((sum, width) => sum + width, 0) * capitalPx;
}

/** `text` as an SVG element; `left` and `top` place the top left corner of its first capital, `weight` its boldness. */
export function drawText(
  text: string,
  at: { readonly left: number; readonly top: number },
  capitalPx: number,
  style: { readonly colour: string; readonly weight: number },
): string {
  const row = glyphsOf(text);
  if (!row) {
    return (
      `<text x="${at.left.toFixed(2)}" y="${(at.top + capitalPx).toFixed(2)}" fill="${style.colour}" ` +
      `font-family="sans-serif" font-size="${(capitalPx * systemFont.size).toFixed(2)}">${escapeXml(text)}</text>`
    );
  }
  let x = 0;
  const paths = row.map(([width, path]) => {
    const placed = path === '' ? '' : `<path transform="translate(${x.toFixed(2)} 0)" d="${path}"/>`;
    x += width + spacing;
    return placed;
  });
  return (
    `<g transform="translate(${at.left.toFixed(2)} ${at.top.toFixed(2)}) scale(${(capitalPx / capitalHeight).toFixed(4)})" ` +
    `fill="none" stroke="${style.colour}" stroke-width="${style.weight}" stroke-linecap="round" stroke-linejoin="round">` +
    `${paths.join('')}</g>`
  );
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
