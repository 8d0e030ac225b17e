/**
 * A report on tracks as one HTML page: accuracy by the number of frames, and the ROC. Pure.
 */
import type { Estimate, ValAtFar } from './error-rates.js';
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
import { linePlot } from '../report/line-plot.js';
import type { VideoReport } from './video.js';

export async function renderVideoPage(report: VideoReport): Promise<string> {
  return page({
    title: `Tracks with ${report.pack}`,
    body: [
      header(report),
      section('rates', 'By the number of frames', ratesTable(report)),
      section('curves', 'Trade-off', await rocFigure(report)),
      ...(report.tracksWithoutFace.length > 0 ? [withoutFace(report)] : []),
      section('run', 'How it was measured', method(report)),
    ],
  });
}

function header({ pack, figures, pairs, splits }: VideoReport): Markup {
  const [first] = figures;
  return markup`<header class="verdict">
    <p class="kicker">Verification of tracks out of videos</p>
    <h1>${givenName(pack)}</h1>
    <p>
      ${
        first
          ? markup`${estimate(first.accuracyOverall)} of ${countText(pairs.total)} pairs are judged rightly in ${countText(splits)} splits, by up to ${countText(first.framesMax)}
 ${first.framesMax === 1 ? 'frame' : 'frames'} of each track.`
          : ''
      }
    </p>
  </header> `;
}

function ratesTable({ figures }: VideoReport): Markup {
  return table({
    caption: '± is one standard error over the splits; thresholds are of the mean squared L2 over pairs of frames',
    columns: [
      { head: 'first frames', kind: 'text' },
      { head: 'pairs compared', kind: 'number' },
      { head: 'accuracy', kind: 'number' },
      { head: 'over all pairs', kind: 'number' },
      { head: 'threshold', kind: 'number' },
      ...(figures[0]?.valAtFar ?? []).map(({ far, support }): Column => ({
        head: `VAL at FAR ${rateText(far)}${support === 'coarse' ? ', coarse' : ''}`,
        kind: 'number',
      })),
    ],
    rows: figures.map((one) => [
      markup`${countText(one.framesMax)} <span class="note">(${decimalText(one.framesMean, 1)} on average)</span>`,
      countText(one.pairsCompared),
      estimate(one.accuracy),
      estimate(one.accuracyOverall),
      decimalText(one.threshold, 4),
      ...one.valAtFar.map(({ val }: ValAtFar) => (val ? estimate(val) : markup`<span class="note">${unknown}</span>`)),
    ]),
    empty: 'Nothing was measured.',
  });
}

function estimate({ mean, standardError }: Estimate): Markup {
  return markup`${percentText(mean)} <span class="note">± ${decimalText(100 * standardError, 2)}</span>`;
}

const strokes = [
  { ink: 'blue', dash: [] },
  { ink: 'orange', dash: [6, 3] },
  { ink: 'green', dash: [2, 2] },
  { ink: 'grey', dash: [8, 3, 2, 3] },
] as const;

async function rocFigure({ figures }: VideoReport): Promise<Markup> {
  const vals = figures.flatMap(({ roc }) => roc.flatMap(({ fmr, fnmr }) => (fmr > 0 ? [1 - fnmr] : [])));
  // An axis of a tenth at least, which is never empty.
  const lowest = Math.floor(10 * Math.min(0.9, ...vals)) / 10;
  const plot = await linePlot({
    title: 'ROC: VAL by FAR, a curve a number of first frames',
    x: { title: 'FAR', scale: 'log', ticks: 'rate' },
    y: { title: 'VAL', scale: 'linear', ticks: 'percent', domain: [lowest, 1] },
    series: figures.slice(0, strokes.length).map(({ framesMax, roc }, i) => ({
      name: `first ${countText(framesMax)}`,
      ...(strokes[i] as (typeof strokes)[number]),
      points: roc.map(({ fmr, fnmr }) => [fmr, 1 - fnmr] as const),
    })),
  });
  return figure(
    plot,
    'Over all pairs compared, with one threshold: not held out. A FAR of 0 is not on a logarithmic axis.',
  );
}

function withoutFace({ tracksWithoutFace }: VideoReport): Markup {
  const names = tracksWithoutFace.map((name) => markup`<li>${givenName(name)}</li>`);
  return section('lost', 'Tracks without a face', markup`<ul>${names}</ul>`);
}

function method(report: VideoReport): Markup {
  return facts([
    ['space', code(report.space)],
    ['provider', report.provider],
    ['mirror averaging', report.mirrorAveraging ? 'yes' : 'no'],
    ['faces', report.kind === 'full' ? `${report.detector} detector, ${report.faceChoice} face` : 'aligned crops'],
    ['tracks', countText(report.tracks)],
    ['frames', `${countText(report.framesRead)}, without a face ${countText(report.framesWithoutFace)}`],
    ['pairs', `${countText(report.pairs.genuine)} of one person, ${countText(report.pairs.impostor)} of two`],
  ]);
}
