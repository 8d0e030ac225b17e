/** Templates for tests of our own engine's graphs: who is there, and their exact vectors as a store would have them. */
import { openEngineGraph, type EngineGraphOptions } from '../../src/index/engine-graph.js';
import type { GraphEntries } from '../../src/index/graph.js';
import type { HostedGraph } from '../../src/index/hosted-graph.js';
import type { TemplateSource } from '../../src/index/template-source.js';
import type { UnitVector } from '../../src/vector.js';

export interface StoredTemplate {
  readonly label: number;
  readonly owner: number;
  readonly vector: UnitVector;
}

/** By label. */
export type Stored = Map<number, StoredTemplate>;

export function sourceOf(stored: Stored): TemplateSource {
  return {
    count: stored.size,
    changedSince: () => undefined,
    *templates() {
      yield* stored.values();
    },
    *labels() {
      yield* stored.values();
    },
    reading: (work) => work((_, label) => stored.get(label)?.vector),
  };
}

export function entriesOf(templates: readonly StoredTemplate[]): GraphEntries {
  const dimensions = templates[0]?.vector.length ?? 0;
  const vectors = new Float32Array(templates.length * dimensions);
  templates.forEach(({ vector }, i) => vectors.set(vector, i * dimensions));
  return {
    labels: Uint32Array.from(templates, ({ label }) => label),
    owners: Uint32Array.from(templates, ({ owner }) => owner),
    vectors,
  };
}

export function add(graph: HostedGraph, stored: Stored, templates: readonly StoredTemplate[]): void {
  for (const template of templates) stored.set(template.label, template);
  graph.addNow(entriesOf(templates));
}

export function remove(graph: HostedGraph, stored: Stored, labels: readonly number[]): void {
  for (const label of labels) stored.delete(label);
  graph.removeNow(Uint32Array.from(labels));
}

export function openOn(
  stored: Stored,
  options: Omit<EngineGraphOptions, 'source' | 'withFines'> & { readonly withFines?: boolean },
): HostedGraph {
  return openEngineGraph({ withFines: true, ...options, source: sourceOf(stored) });
}
