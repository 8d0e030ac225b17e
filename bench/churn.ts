/**
 * What is left of a graph's recall when people come and go: in each round a tenth of them is replaced, and in the end the graph is held against a fresh one of the same people.
 *
 * Our engine takes those who go out of the graph, as the product does; hnswlib-node marks them as deleted and gives their places to those who come, which is what it has for it.
 */
import { EngineMemory } from '../src/engine/engine-memory.js';
import { EngineReader } from '../src/engine/engine-reader.js';
import { EngineWriter } from '../src/engine/engine-writer.js';
import { makeRandom } from '../src/random.js';
import type { UnitVector } from '../src/vector.js';
import { makeEngine, makeHnswlibNode } from './bare-graphs.js';
import { drawGallery, modelDimensions, scanGallery, type ModelGallery } from './gallery-model.js';
import { spread, spreadText } from './measure.js';
import type { BenchOptions } from './options.js';
import type { Progress } from './progress.js';
import { rounded, type Row, type Workload } from './report.js';

const widths = [32, 64, 128] as const;
const nearestMax = 10;
/** Of the people, in a round. */
const replacedShare = 0.1;
/** Milliseconds of mending at a time. */
const mendMs = 100;

interface ChurnedGraph {
  /** Returns when the graph is as it stays. @param labels positions in the gallery */
  replace(gone: readonly number[], come: readonly number[]): void;
  /** Labels, nearest first. */
  search(vector: UnitVector, width: number, k: number): readonly number[];
}

/** Opens one with the templates of these labels. */
type Opening = (templates: readonly UnitVector[], labels: readonly number[]) => ChurnedGraph;

const openings: Readonly<Record<string, Opening>> = { engine: openEngine, 'hnswlib-node': openHnswlibNode };

/** Who is there in the end, and what there is to find. */
interface Outcome {
  readonly labels: readonly number[];
  readonly probes: readonly UnitVector[];
  /** Labels of the nearest, nearest first, for each probe. */
  readonly nearest: readonly (readonly number[])[];
}

export async function benchChurn(options: BenchOptions, progress: Progress): Promise<Workload> {
  const { calls, rounds, seed, templatesPerIdentity } = options;
  const tables: Record<string, readonly Row[]> = {};
  for (const size of options.sizes) Object.assign(tables, benchSize(size, options, progress));
  return {
    dataset:
      `synthetic gallery (bench/gallery-model), ${modelDimensions} dimensions, ${templatesPerIdentity} templates an identity; in each of ${rounds} rounds ` +
      `${100 * replacedShare} % of the identities are replaced by others; ${calls} probes of people who are there in the end, seed ${seed}`,
    tables,
    notes: [
      'recall of templates against a scan; points are of a hundred, of the replaced graph less those of a fresh one of the same templates',
      'seconds of a round: all who go are taken out and all who come are linked; median (min-max)',
    ],
  };
}

function benchSize(size: number, options: BenchOptions, progress: Progress): Record<string, readonly Row[]> {
  const { calls, rounds, seed, templatesPerIdentity } = options;
  progress(`drawing ${size} templates, and those who come`);
  const people = Math.ceil(size / templatesPerIdentity);
  const replaced = Math.max(1, Math.round(people * replacedShare));
  const gallery = drawGallery({
    seed,
    templateCount: (people + rounds * replaced) * templatesPerIdentity,
    templatesPerIdentity,
    // Some are of people who are gone in the end: at most so many times as many as are wanted.
    probeCount: calls * Math.ceil(2 * (1 + rounds * replacedShare)),
  });
  const labelsOf = (identities: readonly number[]): number[] =>
    identities.flatMap((identity) =>
      Array.from({ length: templatesPerIdentity }, (_, i) => identity * templatesPerIdentity + i),
    );
  const random = makeRandom(seed);
  const live = Array.from({ length: people }, (_, identity) => identity);
  const changes = Array.from({ length: rounds }, (_, round) => {
    const come = Array.from({ length: replaced }, (_each, i) => people + round * replaced + i);
    const gone = come.map((identity) => {
      // Of those who were there before the round.
      let place = random.below(people);
      while ((live[place] as number) >= people + round * replaced) place = random.below(people);
      const [leaves] = live.splice(place, 1, identity);
      return leaves as number;
    });
    return { gone: labelsOf(gone), come: labelsOf(come) };
  });
  const outcome = findOutcome(gallery, live, labelsOf(live), calls);
  const first = labelsOf(Array.from({ length: people }, (_, identity) => identity));
  const [taken, found]: [Row[], Row[]] = [[], []];
  for (const [name, open] of Object.entries(openings)) {
    progress(`building: ${name}`);
    const graph = open(gallery.templates, first);
    progress(`replacing: ${name}`);
    const seconds = changes.map(({ gone, come }) => {
      const startedMs = performance.now();
      graph.replace(gone, come);
      return (performance.now() - startedMs) / 1000;
    });
    progress(`building: ${name}, fresh`);
    const fresh = open(gallery.templates, outcome.labels);
    taken.push({
      graph: name,
      templatesReplaced: replaced * templatesPerIdentity,
      secondsOfRound: spreadText(spread(seconds)),
    });
    for (const width of widths) {
      const [after, asNew] = [graph, fresh].map((one) => recallsOf(one, outcome, width)) as [Recalls, Recalls];
      found.push({
        graph: name,
        width,
        'recall@1': rounded(after.first, 4),
        fresh: rounded(asNew.first, 4),
        points: rounded(100 * (after.first - asNew.first), 2),
        'recall@10': rounded(after.ten, 4),
        'fresh@10': rounded(asNew.ten, 4),
        'points@10': rounded(100 * (after.ten - asNew.ten), 2),
      });
    }
  }
  return { [`rounds, ${size} templates`]: taken, [`after ${rounds} rounds, ${size} templates`]: found };
}

function findOutcome(
  { templates, templatesPerIdentity, probes }: ModelGallery,
  live: readonly number[],
  labels: readonly number[],
  calls: number,
): Outcome {
  const isLive = new Set(live);
  const some = probes.filter(({ identity }) => isLive.has(identity)).slice(0, calls);
  const left = { templates: labels.map((label) => templates[label] as UnitVector), templatesPerIdentity, probes: some };
  return {
    labels,
    probes: some.map(({ vector }) => vector),
    nearest: scanGallery(left, nearestMax).map((answer) => answer.templates.map((place) => labels[place] as number)),
  };
}

/** Shares. */
interface Recalls {
  readonly first: number;
  readonly ten: number;
}

function recallsOf(graph: ChurnedGraph, { probes, nearest }: Outcome, width: number): Recalls {
  let [first, ten] = [0, 0];
  for (const [i, vector] of probes.entries()) {
    const expected = nearest[i] ?? [];
    const hits = graph.search(vector, width, nearestMax);
    if (hits[0] === expected[0]) first++;
    ten += expected.filter((label) => hits.includes(label)).length / expected.length;
  }
  return { first: first / probes.length, ten: ten / probes.length };
}

function openEngine(templates: readonly UnitVector[], labels: readonly number[]): ChurnedGraph {
  const engine = makeEngine(labels.map((label) => templates[label] as UnitVector));
  const writer = new EngineWriter(engine);
  const reader = new EngineReader(EngineMemory.open(engine.memory), 1);
  const addAll = (some: readonly number[]): void => {
    for (const label of some) writer.add(label, label, templates[label] as UnitVector);
    writer.link();
  };
  addAll(labels);
  return {
    replace(gone, come) {
      for (const label of gone) writer.remove(label);
      addAll(come);
      while (!writer.mend(mendMs));
    },
    search: (vector, width, k) =>
      reader
        .search({ vector, wanted: Math.max(k, 16), width })
        .map(({ label }) => label)
        .slice(0, k),
  };
}

function openHnswlibNode(templates: readonly UnitVector[], labels: readonly number[]): ChurnedGraph {
  const graph = makeHnswlibNode(labels.length);
  const addAll = (some: readonly number[], replaceDeleted: boolean): void => {
    for (const label of some) graph.addPoint(Array.from(templates[label] as UnitVector), label, replaceDeleted);
  };
  addAll(labels, false);
  return {
    replace(gone, come) {
      for (const label of gone) graph.markDelete(label);
      addAll(come, true);
    },
    search(vector, width, k) {
      graph.setEf(width);
      return graph.searchKnn(Array.from(vector), k).neighbors;
    },
  };
}
