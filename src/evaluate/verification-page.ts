/**
 * A verification report as one HTML page: the figures, the ROC with its band, the distances, and every pair that was decided wrongly, in pictures.
 *
 * The report and the same photos give the same page. Every figure is one of the report's.
 */
import { thumbnail } from '../embedder/image.js';
import type { FarSupport } from './error-rates.js';
import { estimateText, modeText } from './figure-text.js';
import type { WrongPair } from './pair-distances.js';
import {
  badge,
  code,
  countText,
  decimalText,
  facts,
  figure,
  gallery,
  givenName,
  markup,
  page,
  percentText,
  pictures,
  rateText,
  section,
  table,
  type Markup,
  type Picture,
} from '../report/page.js';
import type { PhotoName } from './pairs.js';
import { distancePlot } from './distance-plot.js';
import { rocPlot } from './roc-plot.js';
import type { VerificationReport } from './verification.js';

/** Side of a picture, pixels. */
const pictureSide = 112;
/** Pairs of either kind that are shown; the report names all. A picture is about 4 kB. */
const picturesMax = 150;

/** @param readPhoto its bytes */
export async function renderVerificationPage(
  report: VerificationReport,
  readPhoto: (photo: PhotoName) => Promise<Uint8Array>,
): Promise<string> {
  const [roc, distances, ...errors] = await Promise.all([
    rocFigure(report),
    histogramFigure(report),
    errorSection(report, 'false-accept', readPhoto),
    errorSection(report, 'false-reject', readPhoto),
  ]);
  return page({
    title: `Verification: ${report.pack}`,
    body: [
      markup`<header>
        <p class="kicker">One-to-one verification, ${countText(report.pairs.total)} pairs in ${report.folds} folds</p>
        <h1>${givenName(report.pack)}: ${estimateText(report.accuracy)} right</h1>
      </header>`,
      factsOf(report),
      section('val', 'VAL at FAR', valTable(report)),
      section('curves', 'All thresholds', markup`<div class="figures">${[roc, distances]}</div>`),
      ...errors,
      notFoundSection(report),
    ],
  });
}

export function supportBadge(support: FarSupport): Markup {
  return badge(support === 'measured' ? 'good' : support === 'coarse' ? 'unsure' : 'quiet', support.replace('-', ' '));
}

function factsOf(report: VerificationReport): Markup {
  const { pairs, pairsCompared, facesNotFound, wronglyClassified } = report;
  const wrong = (kind: WrongPair['kind']): number => wronglyClassified.filter((pair) => pair.kind === kind).length;
  return facts([
    ['Accuracy over the pairs compared', estimateText(report.accuracy)],
    ['With faces not found as errors', estimateText(report.accuracyOverall)],
    ['Threshold, squared L2, mean of the folds', decimalText(report.threshold, 4)],
    [
      'Decided wrongly',
      `${countText(wrong('false-accept'))} false accepts, ${countText(wrong('false-reject'))} false rejects`,
    ],
    ['Pairs compared', `${countText(pairsCompared.total)} of ${countText(pairs.total)}`],
    ['Photos', `${countText(report.photos)}, no face in ${countText(facesNotFound.count)}`],
    ['Faces', modeText(report.mode, report.detector, report.faceChoice)],
    ['Mirror averaging', report.mirrorAveraging ? 'yes' : 'no'],
    ['Provider', report.provider],
    ['Speed', report.imagesPerSecond === null ? 'all from the cache' : `${report.imagesPerSecond.toFixed(1)} images/s`],
    ['Space', code(report.space)],
  ]);
}

function valTable({ valAtFar }: VerificationReport): Markup {
  return table({
    caption:
      'Share of genuine pairs accepted where so many impostor pairs are. Held out: each fold at the threshold of the others; ± is one standard error over folds. Coarse: fewer than 30 false accepts to choose by.',
    columns: [
      { head: 'FAR', kind: 'text' },
      { head: 'VAL, held out', kind: 'number' },
      { head: 'VAL, one threshold', kind: 'number' },
      { head: 'FAR realised', kind: 'number' },
      { head: 'Threshold', kind: 'number' },
      { head: 'Support', kind: 'text' },
    ],
    rows: valAtFar.map(({ far, val, pooledVal, realisedFar, threshold, support }) => [
      rateText(far),
      val ? estimateText(val) : '–',
      val ? percentText(pooledVal) : '–',
      realisedFar ? rateText(realisedFar.mean) : '–',
      threshold === null ? '–' : decimalText(threshold, 4),
      supportBadge(support),
    ]),
    empty: '',
  });
}

async function rocFigure(report: VerificationReport): Promise<Markup> {
  return figure(
    await rocPlot([report]),
    markup`<strong>ROC.</strong> Higher is better. Band: 95 % at each FAR, the people drawn anew 400 times. The axis ends
      at one impostor pair; what is accepted without a single false accept has no place on it.`,
  );
}

async function histogramFigure(report: VerificationReport): Promise<Markup> {
  return figure(
    await distancePlot(report),
    markup`<strong>Distances.</strong> What lies left of the threshold is accepted.`,
  );
}

// ── Errors ───────────────────────────────────────────────────────────────────────────────────────────────────────────

const kindWords = {
  'false-accept': { heading: 'False accepts', text: 'Two people who were taken for one, the nearest first.' },
  'false-reject': { heading: 'False rejects', text: 'One person who was taken for two, the farthest first.' },
} as const;

async function errorSection(
  { wronglyClassified }: VerificationReport,
  kind: WrongPair['kind'],
  readPhoto: (photo: PhotoName) => Promise<Uint8Array>,
): Promise<Markup> {
  const wrong = wronglyClassified.filter((pair) => pair.kind === kind);
  const { heading, text } = kindWords[kind];
  const picture = async (photo: PhotoName): Promise<Picture> => ({
    ...(await thumbnail(await readPhoto(photo), pictureSide)),
    alt: photo,
  });
  const shown: Markup[] = [];
  for (const { a, b, distance, threshold } of wrong.slice(0, picturesMax)) {
    const caption = markup`${givenName(nameOf(a))}<br />${givenName(nameOf(b))}<br />distance
      ${decimalText(distance, 3)}, threshold ${decimalText(threshold, 3)}`;
    shown.push(pictures([await picture(a), await picture(b)], caption));
  }
  const more = wrong.length - shown.length;
  return section(
    kind,
    `${heading} (${countText(wrong.length)})`,
    wrong.length === 0
      ? markup`<p class="empty">None.</p>`
      : markup`<p>${text}${more > 0 ? ` ${countText(more)} more are in the report.` : ''}</p>${gallery(shown)}`,
  );
}

/** `Name/Name_0001` -> `Name 1` */
function nameOf(photo: PhotoName): string {
  const [, name = photo, number = ''] = /^.*\/(.*)_0*(\d+)$/.exec(photo) ?? [];
  return `${name.replaceAll('_', ' ')} ${number}`;
}

function notFoundSection({ facesNotFound }: VerificationReport): Markup {
  return section(
    'not-found',
    `No face found (${countText(facesNotFound.count)})`,
    facesNotFound.count === 0
      ? markup`<p class="empty">In no photo.</p>`
      : markup`<p>${facesNotFound.photos.map((photo, i) => markup`${i === 0 ? '' : ', '}${givenName(nameOf(photo))}`)}</p>`,
  );
}
