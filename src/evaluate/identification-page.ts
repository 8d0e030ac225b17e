/**
 * An identification report as one HTML page: what is missed at which rate of false alarms, and how that grows with the gallery. Pure.
 */
import { galleryName } from './identification-table.js';
import type { GalleryRates, IdentificationReport } from './identification.js';
import type { Confusion } from './open-set-searches.js';
import type { Rate } from './open-set-rates.js';
import {
  code,
  countText,
  decimalText,
  facts,
  figure,
  givenName,
  markup,
  page,
  percentText,
  rateText,
  section,
  table,
  unknown,
  type Column,
  type Markup,
} from '../report/page.js';
import { linePlot, lookOf, looksCount, type Series } from '../report/line-plot.js';
import { detPlot, domainAround } from './det-plot.js';

export async function renderIdentificationPage(report: IdentificationReport): Promise<string> {
  const [det, growth] = await Promise.all([detFigure(report), growthFigure(report)]);
  return page({
    title: `Identification with ${report.pack}`,
    body: [
      header(report),
      section('rates', 'Who is missed', ratesTable(report.galleries), ratesNote),
      section('curves', 'Trade-off', markup`<div class="figures">${[det, growth]}</div>`),
      section('thresholds', 'Thresholds', thresholdsTable(report.galleries)),
      ...graphSection(report),
      section(
        'alike',
        'Who is taken for whom',
        confusionTable('Nearest of those who are not enrolled, in the largest gallery of people alone', report.nearest),
        confusionTable('Enrolled, but somebody else came first', report.misidentified),
        markup`<p class="note">
          Look at the first of these before you believe a small FPIR: one person under two names is a right answer that counts as a false one.
        </p>`,
      ),
      section('run', 'How it was measured', method(report)),
    ],
  });
}

function header({ pack, galleries, searches }: IdentificationReport): Markup {
  const [first] = galleries;
  return markup`<header class="verdict">
    <p class="kicker">Open-set identification, one among many</p>
    <h1>${givenName(pack)}</h1>
    <p>
      ${countText(searches.mated)} searches for ${countText(searches.matedPeople)} people who are enrolled, ${countText(searches.nonMated)} for
      ${countText(searches.nonMatedPeople)} who are not. ${
        first
          ? markup`Among ${galleryName(first)}, ${percentText(first.rank1.value)} of the searches for
          somebody who is enrolled name them first.`
          : ''
      }
    </p>
  </header> `;
}

// ── Tables ───────────────────────────────────────────────────────────────────────────────────────────────────────────

function ratesTable(galleries: readonly GalleryRates[]): Markup {
  const fpirs = galleries[0]?.atFpir ?? [];
  const columns: Column[] = [
    { head: 'gallery', kind: 'text' },
    { head: 'own comes first', kind: 'number' },
    // The searches, and so the support, are the same in every gallery.
    ...fpirs.map(({ fpir, support }): Column => ({
      head: `FNIR at FPIR ${rateText(fpir)}${support === 'coarse' ? ', coarse' : ''}`,
      kind: 'number',
    })),
  ];
  return table({
    caption: 'In brackets 95 % intervals, bootstrapped over people',
    columns,
    rows: galleries.map((one) => [
      searchedGallery(one),
      interval(one.rank1),
      ...one.atFpir.map(({ fnir }) => (fnir ? interval(fnir) : notMeasurable)),
    ]),
    empty: 'No gallery was searched.',
  });
}

const ratesNote = markup`<p class="note">
  FPIR: searches for people who are not enrolled that name somebody. FNIR: searches for people who are, whose own identity does not come first or lies beyond the
  threshold. Coarse: fewer than 30 false positives are behind it; not measurable: not one would be.
</p>`;

const notMeasurable = markup`<span class="note">${unknown}</span>`;

function searchedGallery(one: GalleryRates): Markup {
  return markup`${galleryName(one)} <span class="note">${one.engine}</span>`;
}

function interval({ value, interval: [low, high] }: Rate): Markup {
  return markup`${percentText(value)} <span class="note">(${decimalText(100 * low, 1)}–${decimalText(100 * high, 1)})</span>`;
}

function thresholdsTable(galleries: readonly GalleryRates[]): Markup {
  const [first] = galleries;
  return table({
    caption: 'Squared L2; in brackets the false positives within',
    columns: [
      { head: 'gallery', kind: 'text' },
      ...(first?.atFpir ?? []).map(({ fpir }): Column => ({ head: `at FPIR ${rateText(fpir)}`, kind: 'number' })),
      { head: `FPIR at the pack’s ${first?.atThreshold.threshold ?? ''}`, kind: 'number' },
      { head: 'FNIR there', kind: 'number' },
    ],
    rows: galleries.map((one) => [
      searchedGallery(one),
      ...one.atFpir.map(({ threshold, falsePositives }) =>
        threshold === null ? notMeasurable : `${decimalText(threshold, 4)} (${countText(falsePositives)})`,
      ),
      interval(one.atThreshold.fpir),
      interval(one.atThreshold.fnir),
    ]),
    empty: 'No gallery was searched.',
  });
}

/** None unless both engines were asked. */
function graphSection({ galleries, ef }: IdentificationReport): readonly Markup[] {
  const rows = galleries.flatMap((one) =>
    one.recall ? [[galleryName(one), percentText(one.recall.mated), percentText(one.recall.nonMated)]] : [],
  );
  if (rows.length === 0) return [];
  return [
    section(
      'graph',
      'What the graph finds',
      table({
        caption: `Searches in which it has the same first candidate as the exact search; its walk is ${countText(ef)} wide (ef)`,
        columns: [
          { head: 'gallery', kind: 'text' },
          { head: 'mated', kind: 'number' },
          { head: 'non-mated', kind: 'number' },
        ],
        rows,
        empty: '',
      }),
    ),
  ];
}

function confusionTable(caption: string, confusions: readonly Confusion[]): Markup {
  return table({
    caption,
    columns: [
      { head: 'photo', kind: 'text' },
      { head: 'first candidate', kind: 'text' },
      { head: 'distance', kind: 'number' },
    ],
    rows: confusions.map(({ photo, candidate, distance }) => [
      givenName(photo),
      givenName(candidate),
      decimalText(distance, 4),
    ]),
    empty: `${caption}: nobody.`,
  });
}

// ── Figures ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** One engine's: the curves of two that agree would lie on each other. */
function ofOneEngine(galleries: readonly GalleryRates[]): readonly GalleryRates[] {
  const engine = galleries.some(({ engine }) => engine === 'exact') ? 'exact' : 'hnsw';
  return galleries.filter((one) => one.engine === engine);
}

async function detFigure({ galleries }: IdentificationReport): Promise<Markup> {
  const all = ofOneEngine(galleries);
  // As many as can be told apart: the smallest and the largest ones.
  const shown = all.length <= looksCount ? all : [...all.slice(0, 1), ...all.slice(1 - looksCount)];
  return figure(
    await detPlot(shown.map((one) => ({ name: countText(one.people + one.distractors), det: one.det }))),
    `Searches missed by the share of strangers who are taken for somebody, a curve a gallery, named by its identities (${shown[0]?.engine ?? 'no'} search). The band is the ` +
      '95 % interval of the first gallery. A FNIR of 0 is not on a logarithmic axis.',
  );
}

async function growthFigure({ galleries }: IdentificationReport): Promise<Markup> {
  const shown = ofOneEngine(galleries);
  const fpirs = shown[0]?.atFpir.filter(({ support }) => support !== 'not-measurable') ?? [];
  const series = fpirs.map(({ fpir }, i): Series => {
    const figures = shown.flatMap((one) => {
      const fnir = one.atFpir.find((figure) => figure.fpir === fpir)?.fnir;
      return fnir ? [{ x: one.people + one.distractors, fnir }] : [];
    });
    return {
      name: `FPIR ${rateText(fpir)}`,
      ...lookOf(i),
      points: figures.map(({ x, fnir }) => [x, fnir.value] as const),
      band: figures.map(({ x, fnir }) => ({ x, low: fnir.interval[0], high: fnir.interval[1] })),
    };
  });
  const plot = await linePlot({
    title: 'FNIR as the gallery grows',
    x: { title: 'identities in the gallery', scale: 'log', ticks: 'count' },
    y: { title: 'FNIR', scale: 'log', ticks: 'percent', domain: domainAround(series) },
    series,
  });
  return figure(
    plot,
    'The same searches in larger galleries, each with the threshold that keeps the FPIR; bands are 95 % intervals. Synthetic strangers are easier than real ones.',
  );
}

function method(report: IdentificationReport): Markup {
  const { facesNotFound } = report;
  return facts([
    ['space', code(report.space)],
    ['provider', report.provider],
    ['mirror averaging', report.mirrorAveraging ? 'yes' : 'no'],
    ['faces', report.kind === 'full' ? `${report.detector} detector, ${report.faceChoice} face` : 'aligned crops'],
    ['photos', `${countText(report.photos)} of ${countText(report.people)} people`],
    [
      'faces not found',
      `${countText(facesNotFound.count)}, of these to be enrolled ${countText(facesNotFound.enrolments)}`,
    ],
    ['seed', String(report.seed)],
    ['bootstrap', `${countText(report.replicates)} draws of people; the gallery stays`],
  ]);
}
