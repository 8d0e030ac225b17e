/**
 * The exact engine: every search compares with every template. Small galleries live with it, and it is the model of the other one.
 */
import type { Graph, GraphAnswer, GraphCounts, GraphEntries, GraphQuery } from './graph.js';
import { NearestOwners } from '../engine/nearest-owners.js';
import { exactHits } from './exact-hits.js';
import { TemplateTable } from './template-table.js';

export function openExactGraph(dimensions: number): Graph {
  const table = new TemplateTable(dimensions);
  return {
    async add(entries: GraphEntries) {
      table.add(entries);
    },
    async remove(labels: Uint32Array) {
      for (const label of labels) table.remove(label);
    },
    async search(query: GraphQuery) {
      return searchExactly(table, query);
    },
    async counts() {
      return exactCounts(table);
    },
    async settle() {},
    async close() {},
  };
}

/** Each probe against the whole table. */
export function searchExactly(table: TemplateTable, query: GraphQuery): GraphAnswer {
  const { probes, k } = query;
  const hits = [];
  for (let start = 0; start < probes.length; start += table.dimensions) {
    const probe = probes.subarray(start, start + table.dimensions);
    const nearest = new NearestOwners(k);
    table.scan(probe, nearest, query);
    hits.push(exactHits(nearest.hits, probe, ({ label }) => table.vectorOf(label)));
  }
  return { hits, exact: true };
}

export function exactCounts(table: TemplateTable): GraphCounts {
  return {
    engine: 'exact',
    indexedCount: table.count,
    pendingCount: 0,
    removedCount: 0,
    bytes: table.bytes,
    rebuild: null,
    rebuiltCount: 0,
    recall: null,
    recallSamples: 0,
  };
}
