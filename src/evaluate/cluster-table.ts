/** A cluster report for people: scores first, then the clusters, largest first. Pure. */
import Table from 'cli-table3';
import type { ClusterReport } from './face-clusters.js';
import type { PrecisionRecall } from './cluster-scores.js';

/** Members of a cluster that are named; --json has all. */
const namesMax = 4;

/** @param clustersMax so many clusters are printed */
export function formatClusterReport(report: ClusterReport, clustersMax: number): string {
  const { clusters, scores, cut, cutSource, linkage, faceCount, photoCount, noFace, unreadable } = report;
  const several = clusters.filter(({ length }) => length > 1);
  const lines = [
    `${faceCount} ${photoCount > 0 ? `faces of ${photoCount} photos` : 'templates'} in ${clusters.length} clusters, ${several.length} of more than one`,
    `${linkage} linkage, cut ${cut.toFixed(3)} (${cutSource})${report.exact ? '' : '; each compared with its nearest neighbours'}`,
  ];
  if (noFace.length > 0) lines.push(`no face in ${named(noFace)}`);
  if (unreadable.length > 0) lines.push(`not readable: ${named(unreadable.map(({ name }) => name))}`);
  if (scores) {
    const table = new Table({
      ...plain,
      head: [`${scores.faceCount} faces of ${scores.personCount} people`, ...heads],
    });
    table.push(['pairs', ...cells(scores.pairwise)], ['BCubed', ...cells(scores.bcubed)]);
    lines.push('', table.toString(), `clusters that are a person, whole and alone: ${scores.wholeCount}`);
  }
  const shown = several.slice(0, clustersMax);
  if (shown.length > 0) lines.push('');
  for (const [i, members] of shown.entries())
    lines.push(`${i + 1}. ${members.length}: ${named(members.map(({ name }) => name))}`);
  if (several.length > shown.length)
    lines.push(`and ${several.length - shown.length} more of two or more; --json and --html have them`);
  return lines.join('\n');
}

const plain = { style: { head: [], border: [], compact: true } };
const heads = ['precision', 'recall', 'F'] as const;

function cells({ precision, recall, f }: PrecisionRecall): readonly string[] {
  return [precision, recall, f].map((value) => value.toFixed(3));
}

function named(names: readonly string[]): string {
  // File names may hold anything; a terminal must not obey them.
  const shown = names.slice(0, namesMax).map((name) => name.replaceAll(/\p{Cc}/gu, '\ufffd'));
  return `${shown.join(', ')}${names.length > shown.length ? ` and ${names.length - shown.length} more` : ''}`;
}
