/**
 * Mapping a gallery: fitted adapters beside bare matrix products, through the same ONNX Runtime, in the same batches, in the same rounds.
 *
 * Two bare products: rows times a 128 x 128 matrix, the least that any linear map costs; and, without what lies between them, the products
 * of an adapter's own shapes. A bare loop runs a batch and copies its rows, and no more: an adapter also centres, scales to norm 1 and
 * checks that every number is finite. The time of a map does not depend on what was fitted, so few pairs do; that the maps are fitted at all
 * shows in how many fresh vectors come out nearest to their own person. (Not in a cosine: the kernel's directions are turned for ranking.)
 */
import { cpuUsage } from 'node:process';
import { Matrix as Dense, QrDecomposition } from 'ml-matrix';
import { OnnxWriter } from '../src/embedder/packs/onnx-writer.js';
import { openSession } from '../src/embedder/onnx-session.js';
import { HarmonidError } from '../src/errors.js';
import { batchRows, openAdapter, type Adapter } from '../src/migrate/adapter.js';
import { adapterInput, adapterNetwork, adapterOutput } from '../src/migrate/adapter-network.js';
import { openAlgebra, type Algebra } from '../src/migrate/dense-algebra.js';
import { ladder, RungFitter, rungName, type Rung } from '../src/migrate/ladder.js';
import { rowOf, rowRange, stackRows, unitRows, zeros, type Matrix } from '../src/migrate/matrix.js';
import { makePairSet, type PairSet } from '../src/migrate/pair-set.js';
import type { Estimator } from '../src/migrate/rollout.js';
import { makeRandom, type Random } from '../src/random.js';
import { drawGallery, modelDimensions } from './gallery-model.js';
import { interleave, percentile, ratioSpread, spreadText } from './measure.js';
import type { BenchOptions } from './options.js';
import type { Progress } from './progress.js';
import { rounded, type Row, type Workload } from './report.js';

const pairCount = 1000;
const freshCount = 500;
/** More vectors than this come round again: their values cost nothing. */
const distinctCount = 20_000;
/** Length of the noise of the second model beside vectors of length 1. */
const noise = 0.2;

/** Everything that is timed maps rows of the one space to rows of the other. */
interface Candidate {
  readonly name: string;
  /** What a row costs, without the work between products. */
  readonly products: readonly (readonly [inner: number, columns: number])[];
  /** Measured in the same round, holds the same products; undefined for the bare ones. */
  readonly ownShapes?: Candidate;
  readonly map: Adapter['map'];
  readonly close: Adapter['close'];
  /** Share of fresh vectors, mapped, that are nearest to one of their own person; undefined for the bare ones. */
  readonly rank1?: number;
}

interface Run {
  readonly seconds: number;
  /** Of all cores together: what others do on the machine hardly touches it. */
  readonly cpuUs: number;
}

export async function benchMap(options: BenchOptions, progress: Progress): Promise<Workload> {
  const { rounds, seed, sizes } = options;
  const [fit, fresh] = drawPairs(seed);
  const candidates = await openCandidates(fit, fresh, seed, progress);
  const tables: Record<string, readonly Row[]> = {};
  try {
    for (const size of sizes) tables[`map, ${size} vectors`] = await benchSize(size, candidates, options, progress);
  } finally {
    for (const { close } of candidates) await close();
  }
  return {
    dataset:
      `synthetic vectors (bench/gallery-model), ${modelDimensions} dimensions, at most ${distinctCount} different ones; adapters fitted on ` +
      `${pairCount} pairs: a vector, and the same one turned by a random rotation, with noise; ${rounds} rounds, seed ${seed}`,
    tables,
    notes: [
      `batches of ${batchRows} rows; a product a x b takes rows of a numbers to rows of b`,
      'seconds are of the wall, medians of the rounds; cpuUsPerVector of all cores together',
      'ratio of vectors a second in the same round, median (min-max): 1 is as fast as the bare product',
      `rank1: of ${freshCount} mapped vectors of people outside the fit, the share whose nearest among the ${freshCount} of the other model is their own person's; chance gives ${2 / freshCount}`,
    ],
  };
}

async function benchSize(
  size: number,
  candidates: readonly Candidate[],
  { seed, rounds, templatesPerIdentity }: BenchOptions,
  progress: Progress,
): Promise<readonly Row[]> {
  progress(`drawing ${size} vectors`);
  const vectors = drawVectors(size, templatesPerIdentity, seed);
  const few = rowRange(vectors, 0, Math.min(size, 4 * batchRows));
  for (const { map } of candidates) await map(few);
  const runs = await interleave<Run>(
    rounds,
    candidates.map(({ name, map }) => async () => {
      progress(`mapping ${size} vectors: ${name}`);
      const [startedAt, cpuBefore] = [performance.now(), cpuUsage()];
      await map(vectors);
      const { user, system } = cpuUsage(cpuBefore);
      return { seconds: (performance.now() - startedAt) / 1000, cpuUs: user + system };
    }),
  );
  const runsOf = (candidate: Candidate): readonly Run[] => runs[candidates.indexOf(candidate)] ?? [];
  const secondsOf = (candidate: Candidate): readonly number[] => runsOf(candidate).map(({ seconds }) => seconds);
  const [plain] = candidates;
  return candidates.map((candidate): Row => {
    const { name, products, ownShapes, rank1 } = candidate;
    const own = secondsOf(candidate);
    // Seconds the other way round are vectors a second.
    const ratioTo = (peer: Candidate | undefined, decimals: number): string | null =>
      peer === undefined || peer === candidate ? null : spreadText(ratioSpread(secondsOf(peer), own), decimals);
    const medianS = percentile(own, 0.5);
    const flops = products.reduce((sum, [inner, columns]) => sum + 2 * inner * columns, 0);
    return {
      what: name,
      seconds: rounded(medianS, 3),
      vectorsPerSecond: rounded(size / medianS, 0),
      cpuUsPerVector: rounded(
        percentile(
          runsOf(candidate).map(({ cpuUs }) => cpuUs),
          0.5,
        ) / size,
        2,
      ),
      gigaflopsOfProducts: rounded((flops * size) / medianS / 1e9, 1),
      [`ratioTo${modelDimensions}x${modelDimensions}`]: ratioTo(plain, 3),
      ratioToOwnShapes: ratioTo(ownShapes, 2),
      rank1: rank1 === undefined ? null : rounded(rank1, 3),
    };
  });
}

/** The plain product first. */
async function openCandidates(
  fit: PairSet,
  fresh: PairSet,
  seed: number,
  progress: Progress,
): Promise<readonly Candidate[]> {
  const random = makeRandom(seed);
  const plain = await openBare([[modelDimensions, modelDimensions]], random);
  const algebra = await openAlgebra();
  try {
    progress('fitting');
    const linear = await openFitted(algebra, lastRung('ridge', seed), fit, fresh, plain);
    const kernelRung = lastRung('kernel', seed);
    const productCount = (modelDimensions / 2 + 1) * modelDimensions;
    const bareKernel = await openBare(
      [
        [modelDimensions, modelDimensions],
        [productCount, modelDimensions],
      ],
      random,
    );
    return [plain, linear, bareKernel, await openFitted(algebra, kernelRung, fit, fresh, bareKernel)];
  } finally {
    await algebra.close();
  }
}

/** The richest one of an estimator. */
function lastRung(estimator: Estimator, seed: number): Rung {
  const rung = ladder(seed).findLast((one) => one.estimator === estimator);
  if (!rung) throw new HarmonidError('INVALID_ARGUMENT', `the ladder has no ${estimator}`);
  return rung;
}

async function openFitted(
  algebra: Algebra,
  rung: Rung,
  fit: PairSet,
  fresh: PairSet,
  ownShapes: Candidate,
): Promise<Candidate> {
  const model = await new RungFitter(algebra, fit).fit(rung);
  const adapter = await openAdapter(adapterNetwork(model), fit.to.dimensions);
  return {
    name: `adapter: ${rungName(rung)}`,
    products: ownShapes.products,
    ownShapes,
    map: (vectors) => adapter.map(vectors),
    close: () => adapter.close(),
    rank1: rank1(await adapter.map(fresh.vectorsFrom), fresh),
  };
}

/** A graph of products and nothing else, in a loop that runs a batch and copies its rows. */
async function openBare(products: Candidate['products'], random: Random): Promise<Candidate> {
  const session = await openSession(bareNetwork(products, random), { provider: 'cpu', threads: 0 });
  return {
    name: `bare: ${products.map((sides) => sides.join(' x ')).join(', ')}`,
    products,
    close: () => session.close(),
    async map(vectors) {
      const mapped = zeros(vectors.rows, modelDimensions);
      for (let from = 0; from < vectors.rows; from += batchRows) {
        const { rows, columns, data } = rowRange(vectors, from, Math.min(vectors.rows, from + batchRows));
        const output = (await session.run({ [adapterInput]: { data, dims: [rows, columns] } }))[adapterOutput];
        mapped.data.set(output?.data ?? new Float32Array(0), from * modelDimensions);
      }
      return mapped;
    },
  };
}

/**
 * A product that wants more columns than the one before it gave is taken in pieces of so many: nothing is copied, and the multiplications are as
 * many.
 */
function bareNetwork(products: Candidate['products'], random: Random): Uint8Array {
  const graph = new OnnxWriter('bare');
  let [rows, width] = [adapterInput, modelDimensions];
  for (const [inner, columns] of products) {
    const product = (): string =>
      graph.node('MatMul', [rows, graph.weights(drawWeights(width, columns, random), [width, columns])]);
    const [first, ...others] = Array.from({ length: inner / width }, product);
    rows = others.reduce((sum, other) => graph.node('Add', [sum, other]), first ?? rows);
    width = columns;
  }
  graph.rename(rows, adapterOutput);
  return graph.finish(
    [{ name: adapterInput, dims: ['rows', modelDimensions] }],
    [{ name: adapterOutput, dims: ['rows', width] }],
  );
}

/** Of a size that keeps the length of a row about what it was. */
function drawWeights(rows: number, columns: number, random: Random): Float32Array {
  return Float32Array.from({ length: rows * columns }, () => random.normal() / Math.sqrt(columns));
}

function drawVectors(size: number, templatesPerIdentity: number, seed: number): Matrix {
  const templateCount = Math.min(size, distinctCount);
  const { templates } = drawGallery({ seed, templateCount, templatesPerIdentity, probeCount: 0 });
  const distinct = stackRows(templates, modelDimensions);
  const vectors = zeros(size, modelDimensions);
  for (let from = 0; from < size; from += templateCount)
    vectors.data.set(rowRange(distinct, 0, Math.min(templateCount, size - from)).data, from * modelDimensions);
  return vectors;
}

/** The second model gives what the first one gives, turned, with noise: pairs to fit on, and of other people to look at. */
function drawPairs(seed: number): readonly [fit: PairSet, fresh: PairSet] {
  const random = makeRandom(seed);
  const rotation = orthogonalMatrix(random);
  const { templates } = drawGallery({
    seed,
    templateCount: pairCount + freshCount,
    templatesPerIdentity: 2,
    probeCount: 0,
  });
  const pairs = templates.map((from, position) => ({
    person: String(Math.floor(position / 2)),
    from,
    to: turned(from, rotation, random),
  }));
  const space = (name: string) => ({ space: name, dimensions: modelDimensions });
  const setOf = (some: typeof pairs): PairSet => makePairSet(space('gallery-model'), space('turned'), some);
  return [setOf(pairs.slice(0, pairCount)), setOf(pairs.slice(pairCount))];
}

function turned(vector: Float32Array, rotation: Dense, random: Random): Float32Array {
  const exact = rotation.mmul(Dense.columnVector(vector)).to1DArray();
  const values = exact.map((value) => value + (noise / Math.sqrt(modelDimensions)) * random.normal());
  return unitRows(stackRows([Float32Array.from(values)], modelDimensions)).data;
}

function orthogonalMatrix(random: Random): Dense {
  const values = Array.from({ length: modelDimensions ** 2 }, () => random.normal());
  return new QrDecomposition(Dense.from1DArray(modelDimensions, modelDimensions, values)).orthogonalMatrix;
}

function rank1(mapped: Matrix, { vectorsTo, personOf }: PairSet): number {
  let found = 0;
  for (let row = 0; row < mapped.rows; row++) {
    const probe = rowOf(mapped, row);
    let [nearest, best] = [-1, -Infinity];
    for (let other = 0; other < vectorsTo.rows; other++) {
      const candidate = rowOf(vectorsTo, other);
      const cosine = probe.reduce((sum, value, i) => sum + value * (candidate[i] ?? 0), 0);
      if (cosine > best) [nearest, best] = [other, cosine];
    }
    if (personOf[nearest] === personOf[row]) found++;
  }
  return found / mapped.rows;
}
