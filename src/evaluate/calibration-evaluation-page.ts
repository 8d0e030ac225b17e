/** Whether calibrations keep their promises, as one HTML page. Pure but for the drawing: every figure is one of the report's. */
import { linePlot, lookOf } from '../report/line-plot.js';
import {
  code,
  countText,
  decimalText,
  facts,
  figure,
  givenName,
  markup,
  page,
  rateText,
  section,
  table,
  type Markup,
} from '../report/page.js';
import type { CalibrationEvaluation } from './calibration.js';

type EvaluatedGallery = CalibrationEvaluation['galleries'][number];

export async function renderCalibrationEvaluationPage(report: CalibrationEvaluation): Promise<string> {
  const { pack, galleries, draws, people, photos, facesNotFound } = report;
  const sections: Markup[] = [];
  for (const gallery of galleries)
    sections.push(
      section(
        `gallery-${gallery.size}`,
        `${countText(gallery.size)} people enrolled, ${countText(gallery.strangers)} strangers`,
        ratesTable(gallery),
        figure(await reliabilityPlot([{ name: 'came', gallery }]), reliabilityCaption),
      ),
    );
  return page({
    title: `Calibration: ${pack}`,
    body: [
      markup`<header>
        <p class="kicker">Thresholds from the people of a gallery, held against people who are not in it</p>
        <h1>${givenName(pack)}: rates asked for and rates that came</h1>
      </header>`,
      facts([
        ['People', `${countText(people)} with ${countText(photos)} photos`],
        ['No face found', `in ${countText(facesNotFound)} photos`],
        ['Draws of who is enrolled', countText(draws)],
        ['Space', code(report.space)],
        ['Seed', String(report.seed)],
      ]),
      ...sections,
    ],
  });
}

export const reliabilityCaption = markup`<strong>Promised and kept.</strong> FPIR asked for and FPIR that came, mean over the draws; the band holds nine of ten draws. On the grey line what
  was asked for is what comes.`;

function ratesTable({ rates, strangers, samePairs }: EvaluatedGallery): Markup {
  return table({
    caption: `One stranger is ${rateText(1 / strangers)}: a single draw cannot show less. One person under two names was enrolled ${countText(samePairs.there)} times in all draws and seen ${countText(samePairs.found)} times; ${countText(samePairs.wrong)} pairs were wrongly taken for such.`,
    columns: [
      { head: 'Asked for', kind: 'text' },
      { head: 'Came', kind: 'number' },
      { head: 'Of what was asked', kind: 'number' },
      { head: 'Nine of ten draws', kind: 'number' },
      { head: 'Threshold, mean', kind: 'number' },
    ],
    rows: rates.map(({ kind, asked, realised, low, high, threshold }) => [
      `${kind.toUpperCase()} ${rateText(asked)}`,
      `${rateText(realised.mean)} ± ${rateText(realised.standardError)}`,
      decimalText(realised.mean / asked, 2),
      `${rateText(low)} to ${rateText(high)}`,
      decimalText(threshold, 4),
    ]),
    empty: 'No rates.',
  });
}

/** @param shown at most three, as can be told apart from what was asked; the band is the first one's */
export function reliabilityPlot(
  shown: readonly { readonly name: string; readonly gallery: EvaluatedGallery }[],
): Promise<Markup | null> {
  const domain = [1e-4, 1] as const;
  return linePlot({
    title: 'FPIR that came by FPIR that was asked for',
    x: { title: 'FPIR asked for', scale: 'log', ticks: 'rate', domain },
    y: { title: 'FPIR that came', scale: 'log', ticks: 'rate', domain },
    series: [
      {
        name: 'as asked',
        ink: 'grey',
        dash: [2, 2],
        points: [
          [1e-4, 1e-4],
          [1, 1],
        ],
      },
      ...shown.map(({ name, gallery: { reliability } }, i) => ({
        name,
        ...lookOf(i),
        points: reliability.map(({ asked, realised }) => [asked, realised.mean] as const),
        ...(i === 0 && { band: reliability.map(({ asked, low, high }) => ({ x: asked, low, high })) }),
      })),
    ],
  });
}
