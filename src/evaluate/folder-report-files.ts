/**
 * The report on a folder as files: `index.html`, which has the figures that matter and the pictures, a page for each protocol and pack, the pictures as SVG, and
 * everything as `report.json`. Pages name people and show their photos; the pictures do not.
 */
import { degradations } from '../embedder/degradation.js';
import {
  countText,
  facts,
  figure,
  givenName,
  markup,
  page,
  rateText,
  section,
  standalone,
  table,
  type Markup,
} from '../report/page.js';
import { renderCalibrationEvaluationPage, reliabilityCaption, reliabilityPlot } from './calibration-evaluation-page.js';
import { cutPlot, renderClusteringPage } from './clustering-page.js';
import { detPlot } from './det-plot.js';
import { renderDimensionsPage, valPlot } from './dimensions-page.js';
import { distancePlot } from './distance-plot.js';
import type { Attempt, FolderReport, PackFindings } from './folder-report.js';
import { refusalsOf, summaryRows } from './folder-report-table.js';
import { renderIdentificationPage } from './identification-page.js';
import { renderPackComparisonPage } from './pack-comparison-page.js';
import type { PhotoName } from './pairs.js';
import { peopleMapPlot } from './people-map.js';
import { packDegradationPlot, renderRobustnessPage } from './robustness-page.js';
import { rocPlot } from './roc-plot.js';
import { renderVerificationPage } from './verification-page.js';

export interface ReportFile {
  /** Relative, with `/`. */
  readonly path: string;
  readonly text: string;
}

/** A picture of the first page. */
interface Drawing {
  /** Of its file, without `.svg`. */
  readonly name: string;
  readonly plot: Markup;
  readonly caption: Markup;
}

/** @param readPhoto its bytes */
export async function* folderReportFiles(
  report: FolderReport,
  readPhoto: (photo: PhotoName) => Promise<Uint8Array>,
): AsyncGenerator<ReportFile, void, void> {
  yield { path: 'report.json', text: `${JSON.stringify(report, undefined, 2)}\n` };
  const links: { readonly path: string; readonly text: string }[] = [];
  for (const found of report.packs) {
    for (const [name, render] of Object.entries(pagesOf(found, readPhoto))) {
      const path = `${found.pack}/${name}.html`;
      links.push({ path, text: `${found.pack}: ${name}` });
      yield { path, text: await render() };
    }
  }
  if (report.comparison && 'report' in report.comparison) {
    links.push({ path: 'comparison.html', text: 'the packs compared' });
    yield { path: 'comparison.html', text: await renderPackComparisonPage(report.comparison.report) };
  }
  const drawings: Drawing[] = [];
  for await (const drawing of drawingsOf(report)) {
    drawings.push(drawing);
    yield { path: `pictures/${drawing.name}.svg`, text: standalone(drawing.plot) };
  }
  yield { path: 'index.html', text: indexPage(report, links, drawings) };
}

/** Of what was not refused. */
function pagesOf(
  found: PackFindings,
  readPhoto: (photo: PhotoName) => Promise<Uint8Array>,
): Readonly<Record<string, () => Promise<string>>> {
  const { verification, identification, calibration, clustering, dimensions, robustness } = found;
  const pages: [string, (() => Promise<string>) | undefined][] = [
    ['verification', whenThere(verification, (report) => renderVerificationPage(report, readPhoto))],
    ['identification', whenThere(identification, renderIdentificationPage)],
    ['calibration', whenThere(calibration, renderCalibrationEvaluationPage)],
    ['clustering', whenThere(clustering, renderClusteringPage)],
    ['dimensions', whenThere(dimensions, renderDimensionsPage)],
    ['robustness', robustness ? whenThere(robustness, renderRobustnessPage) : undefined],
  ];
  return Object.fromEntries(pages.flatMap(([name, render]) => (render ? [[name, render] as const] : [])));
}

function whenThere<Report>(
  attempt: Attempt<Report>,
  render: (report: Report) => Promise<string>,
): (() => Promise<string>) | undefined {
  return 'report' in attempt ? () => render(attempt.report) : undefined;
}

// ── Pictures ─────────────────────────────────────────────────────────────────────────────────────────────────────────

async function* drawingsOf({ packs }: FolderReport): AsyncGenerator<Drawing, void, void> {
  const there = <Report>(
    pick: (found: PackFindings) => Attempt<Report> | null,
  ): readonly (readonly [string, Report])[] =>
    packs.flatMap((found) => {
      const attempt = pick(found);
      return attempt && 'report' in attempt ? [[found.pack, attempt.report] as const] : [];
    });
  const verifications = there(({ verification }) => verification);
  const identifications = there(({ identification }) => identification);
  const calibrations = there(({ calibration }) => calibration);

  if (verifications.length > 0)
    yield* drawn(
      'roc',
      rocPlot(verifications.map(([, report]) => report)),
      markup`<strong>ROC.</strong> Genuine pairs accepted by impostor pairs accepted. Bands: 95 %, people drawn anew.`,
    );
  if (identifications.length > 0)
    yield* drawn(
      'det',
      detPlot(
        identifications.flatMap(([pack, { galleries }]) => {
          const exact = galleries.find(({ engine }) => engine === 'exact');
          return exact ? [{ name: pack, det: exact.det }] : [];
        }),
      ),
      markup`<strong>DET.</strong> Searches missed by strangers taken for somebody, among
        ${countText(identifications[0]?.[1].galleries[0]?.people ?? 0)} people. The band is the first pack's, 95 %.`,
    );
  if (calibrations.length > 0)
    yield* drawn(
      'calibration',
      reliabilityPlot(
        calibrations.slice(0, 3).flatMap(
          ([
            pack,
            {
              galleries: [gallery],
            },
          ]) => (gallery ? [{ name: pack, gallery }] : []),
        ),
      ),
      reliabilityCaption,
    );
  for (const [pack, report] of verifications)
    yield* drawn(
      `distances-${pack}`,
      distancePlot(report),
      markup`<strong>Distances, ${givenName(pack)}.</strong> What lies left of the threshold is accepted.`,
    );
  for (const [pack, report] of there(({ map }) => map))
    yield* drawn(
      `map-${pack}`,
      peopleMapPlot(report),
      markup`<strong>Map, ${givenName(pack)}.</strong> ${countText(report.faces.length)} faces of ${countText(report.people)} people with
        ${countText(report.photosMin)} photos or more (UMAP). Orange: the nearest face is somebody else’s. Who is beside whom counts; how far apart groups lie does not.`,
    );
  for (const [pack, report] of there(({ clustering }) => clustering)) {
    const [average] = report.rows;
    if (average)
      yield* drawn(
        `clusters-${pack}`,
        cutPlot(average),
        markup`<strong>Clusters, ${givenName(pack)}.</strong> Agreement with people by cut, ${average.linkage} linkage, on each half of the people; dotted: the cuts.`,
      );
  }
  for (const [pack, report] of there(({ dimensions }) => dimensions)) {
    const far = report.rows[0]?.vals.findLast(({ val }) => val !== null)?.far;
    if (far !== undefined)
      yield* drawn(
        `dimensions-${pack}`,
        valPlot(report, far),
        markup`<strong>Fewer dimensions, ${givenName(pack)}.</strong> VAL at FAR ${rateText(far)}. Bands: one standard error over folds.`,
      );
  }
  const robust = there(({ robustness }) => robustness).map(([, report]) => report);
  for (const kind of new Set(robust.flatMap(({ rows }) => rows.flatMap(({ degradation }) => degradation?.kind ?? []))))
    yield* drawn(
      kind,
      packDegradationPlot(robust, kind),
      markup`<strong>Bad photos: ${degradations[kind]}.</strong> VAL at FAR ${rateText(robust[0]?.far ?? null)}, thresholds chosen on photos as bad. Bands: one standard error over folds.`,
    );
}

async function* drawn(
  name: string,
  plot: Promise<Markup | null>,
  caption: Markup,
): AsyncGenerator<Drawing, void, void> {
  const done = await plot;
  if (done) yield { name, plot: done, caption };
}

// ── The first page ───────────────────────────────────────────────────────────────────────────────────────────────────

function indexPage(
  report: FolderReport,
  links: readonly { readonly path: string; readonly text: string }[],
  drawings: readonly Drawing[],
): string {
  const { packs, people, photos, pairsDrawn, seed } = report;
  const refusals = refusalsOf(report).map(({ what, why }) => [what, why]);
  return page({
    title: `Report: ${packs.map(({ pack }) => pack).join(', ')}`,
    body: [
      markup`<header>
        <p class="kicker">What these photos say of ${packs.length === 1 ? 'a model pack' : 'model packs'}</p>
        <h1>${packs.map(({ pack }, i) => markup`${i === 0 ? '' : ' · '}${givenName(pack)}`)}</h1>
      </header>`,
      facts([
        ['People', countText(people)],
        ['Photos', countText(photos)],
        ['Pairs', pairsDrawn ? 'drawn from the photos' : 'as given'],
        ['Seed', String(seed)],
      ]),
      section(
        'summary',
        'In figures',
        table({
          caption:
            'VAL: genuine pairs accepted at that share of impostor pairs. FNIR: searches missed at that share of strangers taken for somebody. FPIR 1 % came: the share for which 1 % was asked of a calibration. 8 bits: VAL lost. All held out.',
          columns: [
            { head: 'Figure', kind: 'text' },
            ...packs.map(({ pack }) => ({ head: pack, kind: 'number' as const })),
          ],
          // A row a figure: packs are few, and figures many.
          rows: summaryRows(report),
          empty: 'No pack.',
        }),
      ),
      section(
        'pictures',
        'In pictures',
        markup`<div class="figures">${drawings.map(({ plot, caption }) => figure(plot, caption))}</div>`,
      ),
      section(
        'pages',
        'In full',
        markup`<ul>${links.map(({ path, text }) => markup`<li><a href="${encodeURI(path)}">${text}</a></li>`)}</ul>`,
      ),
      ...(refusals.length > 0
        ? [
            section(
              'refused',
              'What these photos cannot say',
              table({
                caption: 'Left out, and why',
                columns: [
                  { head: 'What', kind: 'text' },
                  { head: 'Why', kind: 'prose' },
                ],
                rows: refusals,
                empty: '',
              }),
            ),
          ]
        : []),
      section(
        'limits',
        'How far this goes',
        markup`<p>Figures are of these photos. Photos of another kind (another camera, another light, other people) have other figures, and what was taken for one person’s photos here was what the folders say: one person in two folders
          counts as a false accept.</p>`,
      ),
    ],
  });
}
