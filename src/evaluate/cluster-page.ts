/**
 * Clusters as one HTML page: a contact sheet, largest cluster first. Pure: pictures come with the report.
 */
import type { ClusterReport } from './face-clusters.js';
import type { PrecisionRecall } from './cluster-scores.js';
import {
  countText,
  decimalText,
  facts,
  gallery,
  givenName,
  markup,
  page,
  percentText,
  pictures,
  section,
  table,
  type Markup,
  type Picture,
} from '../report/page.js';

/** What is shown of a cluster. */
export interface ClusterSheet {
  /** Number of the cluster in the report, from 0. */
  readonly cluster: number;
  /** Of its first faces. */
  readonly shown: readonly Picture[];
}

/** @param sheets in the order of the clusters; none for templates, of which there are no pictures */
export function renderClusterPage(report: ClusterReport, sheets: readonly ClusterSheet[]): string {
  const { clusters, faceCount, photoCount, scores, space, linkage, cut, cutSource, exact, noFace, unreadable } = report;
  const several = clusters.filter(({ length }) => length > 1).length;
  const isOfPhotos = photoCount > 0;
  const what = `${countText(faceCount)} ${isOfPhotos ? 'faces' : 'templates'} in ${countText(clusters.length)} clusters`;
  return page({
    title: what,
    body: [
      markup`<header class="verdict">
        <p class="kicker">Faces grouped by who they show, as the model sees it; nobody was asked</p>
        <h1>${what}</h1>
        <p>${countText(several)} clusters have more than one, ${countText(clusters.length - several)} have one only.</p>
      </header> `,
      facts([
        ['Space', givenName(space)],
        ['Linkage', linkage],
        ['Cut', `${decimalText(cut, 3)} (${cutSource})`],
        ['Compared', exact ? 'all with all' : 'each with its nearest neighbours'],
        ...(isOfPhotos
          ? ([['Photos', `${countText(photoCount)}, ${countText(noFace.length)} without a face`]] as const)
          : []),
        ...(unreadable.length > 0 ? ([['Not readable', countText(unreadable.length)]] as const) : []),
      ]),
      ...(scores
        ? [
            section(
              'scores',
              'Against the people who are known',
              table({
                caption: `${countText(scores.faceCount)} faces of ${countText(scores.personCount)} people are known; they are in ${countText(scores.clusterCount)} clusters. ${countText(scores.wholeCount)} clusters are a person, whole and alone.`,
                columns: [
                  { head: 'Counted by', kind: 'text' },
                  { head: 'Precision', kind: 'number' },
                  { head: 'Recall', kind: 'number' },
                  { head: 'F', kind: 'number' },
                ],
                rows: [scoreRow('pairs of faces', scores.pairwise), scoreRow('faces (BCubed)', scores.bcubed)],
                empty: '',
              }),
            ),
          ]
        : []),
      section(
        'clusters',
        'Clusters',
        isOfPhotos ? gallery(sheets.map((sheet) => sheetFigure(report, sheet))) : clusterTable(report),
        ...(isOfPhotos && sheets.length < clusters.length
          ? [markup`<p class="note">${countText(clusters.length - sheets.length)} smaller clusters are not shown.</p>`]
          : []),
      ),
    ],
  });
}

function scoreRow(name: string, { precision, recall, f }: PrecisionRecall): readonly string[] {
  return [name, percentText(precision), percentText(recall), decimalText(f, 3)];
}

function sheetFigure({ clusters }: ClusterReport, { cluster, shown }: ClusterSheet): Markup {
  const members = clusters[cluster] ?? [];
  const more = members.length - shown.length;
  const people = [...new Set(members.flatMap(({ person }) => person ?? []))];
  return pictures(
    shown,
    markup`<strong>${String(cluster + 1)}</strong>: ${members.length === 1 ? '1 face' : `${countText(members.length)} faces`}${more > 0 ? `, ${countText(more)} not shown` : ''}${people.length > 0 ? markup`<br />${people.map((person, i) => markup`${i > 0 ? ', ' : ''}${givenName(person)}`)}` : ''}`,
  );
}

/** Templates of people: clusters that are not exactly one identity say something. */
function clusterTable({ clusters }: ClusterReport): Markup {
  return table({
    caption: 'Largest first. More than one identity in a cluster: the same person twice, or two who look alike.',
    columns: [
      { head: 'Cluster', kind: 'text' },
      { head: 'Templates', kind: 'number' },
      { head: 'Identities', kind: 'prose' },
    ],
    rows: clusters.map((members, cluster) => [
      String(cluster + 1),
      countText(members.length),
      markup`${[...new Set(members.flatMap(({ person }) => person ?? []))].map((person, i) => markup`${i > 0 ? ', ' : ''}${givenName(person)}`)}`,
    ]),
    empty: 'There are no templates.',
    narrow: 'scrolled',
  });
}
