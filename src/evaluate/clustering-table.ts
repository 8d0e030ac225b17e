/** A report on clusters of people as text: a line for each linkage. Pure. */
import Table from 'cli-table3';
import type { ClusteringReport, HeldOutClusters } from './clustering.js';

export function formatClusteringReport({ pack, faceCount, personCount, notFound, rows }: ClusteringReport): string {
  const table = new Table({
    style: { head: [], border: [], compact: true },
    head: ['linkage', 'pairwise F1', 'BCubed F', 'first half', 'second half'],
  });
  for (const { linkage, pairwiseF, bcubedF, halves } of rows)
    table.push([linkage, pairwiseF.toFixed(3), bcubedF.toFixed(3), ...halves.map(halfText)]);
  return [
    `${pack}: ${faceCount} faces of ${personCount} people, faces not found in ${notFound.length} photos`,
    table.toString(),
    'Held out: each half of the people is scored with the cut of the other. Cuts are squared L2.',
    '',
  ].join('\n');
}

function halfText({ cut, scores: { pairwise, bcubed } }: HeldOutClusters): string {
  return `${pairwise.f.toFixed(3)}, ${bcubed.f.toFixed(3)} at ${cut.toFixed(4)}`;
}
