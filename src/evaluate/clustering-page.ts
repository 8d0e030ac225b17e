/** A report on clusters of people as one HTML page. Pure but for the drawing: every figure is one of the report's. */
import {
  code,
  countText,
  decimalText,
  facts,
  figure,
  givenName,
  markup,
  page,
  section,
  table,
  type Markup,
} from '../report/page.js';
import { linePlot } from '../report/line-plot.js';
import type { ClusteringReport, LinkageScores } from './clustering.js';

export async function renderClusteringPage(report: ClusteringReport): Promise<string> {
  const { pack, rows, faceCount, personCount, photosMin, notFound } = report;
  const figures: Markup[] = [];
  for (const row of rows)
    figures.push(
      figure(
        await cutPlot(row),
        markup`<strong>${row.linkage} linkage.</strong> Each half of the people over all cuts. The dotted lines are the
          cuts: each half is scored at the one that is best on the other.`,
      ),
    );
  return page({
    title: `Clustering: ${pack}`,
    body: [
      markup`<header>
        <p class="kicker">Faces grouped by who they show, held against who they do show</p>
        <h1>${givenName(pack)}: clusters of people</h1>
      </header>`,
      facts([
        [
          'Faces',
          `${countText(faceCount)} of ${countText(personCount)} people with ${countText(photosMin)} or more photos`,
        ],
        ['No face found', `in ${countText(notFound.length)} photos`],
        ['Space', code(report.space)],
        ['Seed', String(report.seed)],
      ]),
      section(
        'scores',
        'How many are right',
        table({
          caption:
            'Pairwise: over pairs of faces; BCubed: over faces, each with its cluster. F is the harmonic mean of precision and recall. Means of both halves, each with the cut of the other.',
          columns: [
            { head: 'Linkage', kind: 'text' },
            { head: 'Pairwise F1', kind: 'number' },
            { head: 'Precision', kind: 'number' },
            { head: 'Recall', kind: 'number' },
            { head: 'BCubed F', kind: 'number' },
            { head: 'Precision', kind: 'number' },
            { head: 'Recall', kind: 'number' },
            { head: 'Cuts, squared L2', kind: 'number' },
          ],
          rows: rows.map(({ linkage, pairwiseF, bcubedF, halves }) => {
            const mean = (value: (half: (typeof halves)[number]) => number): string =>
              decimalText(halves.reduce((sum, half) => sum + value(half), 0) / halves.length, 3);
            return [
              linkage,
              decimalText(pairwiseF, 3),
              mean(({ scores }) => scores.pairwise.precision),
              mean(({ scores }) => scores.pairwise.recall),
              decimalText(bcubedF, 3),
              mean(({ scores }) => scores.bcubed.precision),
              mean(({ scores }) => scores.bcubed.recall),
              halves.map(({ cut }) => decimalText(cut, 3)).join(', '),
            ];
          }),
          empty: '',
        }),
      ),
      section('cuts', 'All cuts', markup`<div class="figures">${figures}</div>`),
    ],
  });
}

/** F by cut, of each half and of either kind. */
export function cutPlot({ linkage, halves }: LinkageScores): Promise<Markup | null> {
  const kinds = [
    { kind: 'pairwise', name: 'Pairwise F1', ink: 'blue' },
    { kind: 'bcubed', name: 'BCubed F', ink: 'orange' },
  ] as const;
  return linePlot({
    title: `Pairwise F1 and BCubed F by cut, ${linkage} linkage`,
    x: { title: 'cut, squared L2', scale: 'linear', ticks: 'decimal' },
    y: { title: 'F', scale: 'linear', ticks: 'decimal', domain: [0, 1] },
    series: halves.flatMap(({ grid }, half) =>
      kinds.map(({ kind, name, ink }) => ({
        name: `${name}, half ${half + 1}`,
        ink,
        dash: half === 0 ? [] : [6, 3],
        points: grid.map(({ cut, scores }) => [cut, scores[kind].f] as const),
      })),
    ),
    rules: [...new Set(halves.map(({ cut }) => cut))].map((cut) => ({ x: cut, label: '' })),
  });
}
