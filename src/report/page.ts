/**
 * A report as one HTML page: markup that cannot be forgotten to escape, tables, figures, and the sheet of styles. Pure.
 *
 * A page is one file that needs nothing else: no script, no font, no address; pictures are in it. Whatever was not written in this repository (ids, messages,
 * names of models) is text and comes out as text: `markup` escapes every string that is put into it, and takes only `Markup` as it is. Tables have a
 * caption and headers with a scope, figures a caption; colours are variables, so that a page is readable on a light and a dark screen and on paper.
 */

/** HTML that is well formed and safe. Made by `markup` and the functions below, never from input. */
export interface Markup {
  readonly html: string;
}

type Part = Markup | string | number | readonly (Markup | string)[];

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Fit for text and for attributes in quotes. Characters that no document may contain become U+FFFD. */
export function escapeText(text: string): string {
  return (
    text
      .replace(/\p{Surrogate}/gu, '\ufffd')
      // oxlint-disable-next-line no-control-regex
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\ufffe\uffff]/g, '\ufffd')
      .replace(/[&<>"']/g, (character) => entities[character] ?? '')
  );
}

/** A template whose values are escaped, except for `Markup`. */
export function markup(literals: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  return { html: literals.map((literal, i) => literal + markupOf(parts[i] ?? '')).join('') };
}

function markupOf(part: Part): string {
  if (typeof part === 'string') return escapeText(part);
  if (typeof part === 'number') return String(part);
  return 'html' in part ? part.html : part.map(markupOf).join('');
}

/** What a user called something: its direction of writing does not reach what stands beside it. */
export function givenName(name: string): Markup {
  return markup`<bdi>${name}</bdi>`;
}

/** Something long without spaces, such as a digest. */
export function code(text: string): Markup {
  return markup`<code>${text}</code>`;
}

// ── Blocks ───────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface Column {
  readonly head: string;
  /** Numbers stand at the right, prose gets the width that others leave. */
  readonly kind: 'text' | 'number' | 'prose';
}

export interface TableContent {
  readonly caption: Markup | string;
  readonly columns: readonly Column[];
  /** The first cell of a row is its header. */
  readonly rows: readonly (readonly (Markup | string)[])[];
  /** Instead of a table without rows. */
  readonly empty: string;
  /** What becomes of it on a narrow screen: rows become blocks, which suits texts, or it is scrolled sideways, which suits long lists. Default blocks. */
  readonly narrow?: 'stacked' | 'scrolled';
}

export function table({ caption, columns, rows, empty, narrow = 'stacked' }: TableContent): Markup {
  const stacked = narrow === 'stacked';
  if (rows.length === 0) return markup`<p class="empty">${empty}</p>`;
  const classOf = (column: number): string => columns[column]?.kind ?? 'text';
  // A stacked table is laid out as blocks, which would take its meaning from it: the roles give it back.
  const role = (name: string): Markup => (stacked ? markup` role="${name}"` : markup``);
  const cell = (content: Markup | string, column: number): Markup =>
    column === 0
      ? markup`<th scope="row" ${role('rowheader')} class="${classOf(column)}">${content}</th>`
      : markup`<td${role('cell')} class="${classOf(column)}"${
          stacked ? markup` data-head="${columns[column]?.head ?? ''}"` : markup``
        }>${content}</td>`;
  const heads = columns.map(
    ({ head }, column) => markup`<th scope="col" ${role('columnheader')} class="${classOf(column)}">${head}</th>`,
  );
  return markup`<div class="${narrow}"><table${role('table')}><caption>${caption}</caption>
<thead${role('rowgroup')}><tr${role('row')}>${heads}</tr></thead>
<tbody${role('rowgroup')}>
${rows.map((cells) => markup`<tr${role('row')}>${cells.map(cell)}</tr>\n`)}</tbody></table></div>
`;
}

/** Names and values. */
export function facts(rows: readonly (readonly [name: string, value: Markup | string])[]): Markup {
  return markup`<dl class="facts">
    ${rows.map(
      ([name, value]) =>
        markup`<div>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div> `,
    )}
  </dl> `;
}

/** @param plot null when there was nothing to draw, which is then said */
export function figure(plot: Markup | null, caption: Markup | string): Markup {
  return markup`<figure>
    ${plot ?? markup`<p class="empty">Nothing to draw: no figures were measured.</p>`}
    <figcaption>${caption}</figcaption>
  </figure> `;
}

/** JPEG, as it is put into the page. */
export interface Picture {
  readonly jpeg: Uint8Array;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  /** What a reader who cannot see it is told. */
  readonly alt: string;
}

/** Pictures side by side with what they are about beneath: an error of a model, a cluster. */
export function pictures(shown: readonly Picture[], caption: Markup | string): Markup {
  return markup`<figure class="pictures">
    ${shown.map(
      ({ jpeg, width, height, alt }) =>
        markup`<img src="data:image/jpeg;base64,${Buffer.from(jpeg).toString('base64')}" width="${width}" height="${height}" alt="${alt}" /> `,
    )}
    <figcaption>${caption}</figcaption>
  </figure> `;
}

/** Many of them. */
export function gallery(figures: readonly Markup[]): Markup {
  return markup`<div class="gallery">${figures}</div>`;
}

export function section(id: string, heading: string, ...blocks: readonly Markup[]): Markup {
  return markup`<section aria-labelledby="${id}">
    <h2 id="${id}">${heading}</h2>
    ${blocks}
  </section> `;
}

export type Tone = 'good' | 'bad' | 'unsure' | 'quiet';

/** A word that is told by its colour, too. */
export function badge(tone: Tone, word: string): Markup {
  return markup`<span class="badge ${tone}">${word}</span>`;
}

/** A whole document. */
export function page({ title, body }: { readonly title: string; readonly body: readonly Markup[] }): string {
  return markup`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title}</title>
        <style>
          ${{ html: style() }}
        </style>
      </head>
      <body>
        ${body}
      </body>
    </html> `.html;
}

// ── Numbers, for people ──────────────────────────────────────────────────────────────────────────────────────────────

/** What stands where a number is not known: null, NaN and what JSON has made of it. */
export const unknown = 'not measurable';

function known(value: number | null, text: (value: number) => string): string {
  // A report that came as JSON may lack what its type promises.
  return typeof value === 'number' && Number.isFinite(value) ? text(value) : unknown;
}

export function percentText(share: number | null): string {
  return known(share, (value) => `${(100 * value).toFixed(2)} %`);
}

/** Difference of two shares. */
export function pointsText(difference: number | null): string {
  return known(difference, (value) => `${value < 0 ? '−' : '+'}${Math.abs(100 * value).toFixed(2)} points`);
}

export function decimalText(value: number | null, digits: number): string {
  return known(value, (value) => `${value < 0 ? '−' : ''}${Math.abs(value).toFixed(digits)}`);
}

export function countText(count: number | null): string {
  return known(count, (value) => value.toLocaleString('en-US', { maximumFractionDigits: 0 }));
}

/** A small rate: 1e-3, 2.5e-4. */
export function rateText(rate: number | null): string {
  return known(rate, (value) => (value === 0 ? '0' : Number(value.toPrecision(3)).toExponential()));
}

/** UTC, to the second. @param at milliseconds since 1970 */
export function timeText(at: number): string {
  const time = new Date(at);
  return Number.isNaN(time.getTime()) ? 'unknown' : `${time.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

// ── Styles ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Colours of what is drawn. Told apart by people with any kind of colour vision (Okabe & Ito 2008), darkened or lightened to stand out from the ground. */
export const inks = {
  text: { light: '#1c2024', dark: '#e6e8ea' },
  faint: { light: '#5c646c', dark: '#a3abb3' },
  rule: { light: '#d9dde1', dark: '#3a4148' },
  grey: { light: '#6a7178', dark: '#a9b0b7' },
  blue: { light: '#0067a5', dark: '#5cb4ee' },
  orange: { light: '#c05a00', dark: '#f0a04b' },
  green: { light: '#007a58', dark: '#3fc79a' },
} as const;
export type Ink = keyof typeof inks;

/** For a plot: the variable of the page, or the colour on white where the plot stands alone. */
export function inkOf(ink: Ink): string {
  return `var(--${ink}, ${inks[ink].light})`;
}

/** A plot as a file of its own, on white ground. */
export function standalone({ html }: Markup): string {
  return html.replace(/(<svg [^>]*>)/, '$1<rect width="100%" height="100%" fill="#ffffff"/>');
}

function style(): string {
  const variables = (ground: 'light' | 'dark'): string =>
    Object.entries(inks)
      .map(([name, colours]) => `--${name}: ${colours[ground]};`)
      .join(' ');
  return `
:root { color-scheme: light dark; ${variables('light')}
  --ground: #ffffff; --shade: #f4f6f7; --good: #04683f; --bad: #a81c1c; --unsure: #845000; --good-ground: #e3f4ea; --bad-ground: #fcebea; --unsure-ground: #fdf3dc; }
@media screen and (prefers-color-scheme: dark) { :root { ${variables('dark')}
  --ground: #16191c; --shade: #1f2428; --good: #6fd6a3; --bad: #ff9a94; --unsure: #f0c063; --good-ground: #12301f; --bad-ground: #3b1717; --unsure-ground: #35290d; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 1.5rem 1.25rem 4rem; background: var(--ground); color: var(--text);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.25rem; line-height: 1.3; margin: 2.75rem 0 .5rem; padding-top: .75rem; border-top: 1px solid var(--rule); }
p { margin: .5rem 0; max-width: 46rem; }
.kicker { color: var(--faint); margin: 0 0 .75rem; }
.verdict { padding: 1.1rem 1.25rem; border-left: .4rem solid var(--faint); background: var(--shade); }
.verdict h1, .verdict p, .verdict li { overflow-wrap: anywhere; }
.verdict.good { border-color: var(--good); background: var(--good-ground); } .verdict.good h1 { color: var(--good); }
.verdict.bad { border-color: var(--bad); background: var(--bad-ground); } .verdict.bad h1 { color: var(--bad); }
.verdict.unsure { border-color: var(--unsure); background: var(--unsure-ground); } .verdict.unsure h1 { color: var(--unsure); }
.verdict ul { padding-left: 1.2rem; margin: .75rem 0 0; } .verdict li { margin: .5rem 0; max-width: 50rem; }
.badge { display: inline-block; padding: .05rem .5rem; border-radius: .6rem; border: 1px solid currentColor; font-size: .875rem; font-weight: 600; white-space: nowrap; }
.badge.good { color: var(--good); } .badge.bad { color: var(--bad); } .badge.unsure { color: var(--unsure); } .badge.quiet { color: var(--faint); }
.note { color: var(--faint); font-weight: 400; } .empty { color: var(--faint); font-style: italic; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .75rem 1.5rem; margin: 1rem 0; }
.facts dt { color: var(--faint); font-size: .875rem; } .facts dd { margin: 0; overflow-wrap: anywhere; }
.scrolled { overflow-x: auto; }
table { border-collapse: collapse; margin: .25rem 0 1rem; min-width: 60%; }
caption { text-align: left; color: var(--faint); padding-bottom: .4rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem 1rem .4rem 0; border-bottom: 1px solid var(--rule); font-weight: 400; overflow-wrap: anywhere; }
thead th { color: var(--faint); font-size: .875rem; vertical-align: bottom; border-bottom-color: var(--faint); }
tbody th { font-weight: 600; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.text { min-width: 7.5rem; } .prose { width: 38%; min-width: 18rem; } thead .number { white-space: normal; overflow-wrap: normal; min-width: 5rem; }
code { font: .875em ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
td p, th p { margin: 0 0 .3rem; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 1rem 2rem; margin: 1rem 0; }
figure { margin: 0; break-inside: avoid; } figure svg { display: block; width: 100%; height: auto; max-width: 36rem; }
figure svg text { font-family: inherit; }
figcaption { color: var(--faint); font-size: .9375rem; max-width: 36rem; }
.gallery { display: flex; flex-wrap: wrap; gap: 1rem 1.5rem; margin: 1rem 0; }
.pictures img { display: inline-block; border-radius: .25rem; vertical-align: top; } .pictures figcaption { overflow-wrap: anywhere; }
@media screen and (max-width: 46rem) {
  .stacked table, .stacked caption, .stacked tbody, .stacked tr, .stacked th, .stacked td { display: block; min-width: 0; }
  .stacked thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .stacked tr { border-bottom: 1px solid var(--faint); padding: .6rem 0; }
  .stacked th, .stacked td { border: 0; padding: .15rem 0; text-align: left; white-space: normal; width: auto; min-width: 0; }
  .stacked td::before { content: attr(data-head) ": "; color: var(--faint); font-size: .875rem; }
  .stacked td:empty { display: none; }
}
@media print {
  html { font-size: 9.5pt; } body { max-width: none; padding: 0; } h2 { margin-top: 1.75rem; }
  .scrolled { overflow: visible; } h2 { break-after: avoid; } tr, .verdict { break-inside: avoid; } thead { display: table-header-group; } caption { break-inside: avoid; } caption, thead { break-after: avoid; } .text { min-width: 6.4rem; } tbody th.text { min-width: 11rem; } .prose { width: 36%; min-width: 0; } tbody tr:first-child { break-before: avoid; }
  .verdict, .badge { print-color-adjust: exact; } .figures { grid-template-columns: 1fr 1fr; }
}
@page { margin: 16mm; }
`;
}
