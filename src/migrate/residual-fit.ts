/**
 * A residual network on top of a fitted map, trained with the harmonic triplet loss (FaceNet, CVPR 2015, section 3.1 and appendix).
 *
 * The pool of a step is the mapped vectors together with the frozen ones of the other space. Every member is an anchor, with a random member of the
 * same person as positive and a random semi-hard negative out of the whole pool: farther than the positive, inside the margin. Only the mapped
 * vectors move. What is added starts at zero, so training starts from the map that it is given. AdaGrad (Duchi et al., JMLR 2011). The
 * large products and the activation are computed by ONNX Runtime, the bookkeeping of the triplets here.
 */
import { assertInvariant } from '../errors.js';
import { openSession, type OnnxSession } from '../embedder/onnx-session.js';
import { makeRandom, type Random } from '../random.js';
import type { LinearMap, ResidualMap } from './adapter-model.js';
import { geluNetwork } from './adapter-network.js';
import type { Algebra } from './dense-algebra.js';
import { applyLinear } from './linear-fits.js';
import { columnMeans, matrixOf, pickRows, rowOf, subtractFromRows, unitRows, zeros, type Matrix } from './matrix.js';
import type { PairSet } from './pair-set.js';

export interface ResidualSettings {
  /** Width of the network. Wider learns more from many pairs and costs time. */
  readonly hidden: number;
  /** More follow the pairs more closely. */
  readonly steps: number;
  /** Pairs of a step; its pool is twice as large. */
  readonly batch: number;
  readonly learningRate: number;
  /** Squared L2; FaceNet's alpha. */
  readonly margin: number;
  readonly seed: number;
}

/** AdaGrad's first divisor. */
const epsilon = 1e-8;

export async function fitResidual(
  algebra: Algebra,
  pairs: PairSet,
  base: LinearMap,
  settings: ResidualSettings,
): Promise<ResidualMap> {
  const { vectorsFrom, vectorsTo, personOf } = pairs;
  const random = makeRandom(settings.seed);
  const centre = Float32Array.from(columnMeans(vectorsFrom));
  const centred = subtractFromRows(vectorsFrom, centre);
  const scale = 1 / Math.sqrt(centred.data.reduce((sum, value) => sum + value * value, 0) / centred.rows);
  const inputs = matrixOf(
    centred.rows,
    centred.columns,
    centred.data.map((value) => value * scale),
  );
  const { hidden } = settings;
  const inner = zeros(inputs.columns, hidden);
  for (let i = 0; i < inner.data.length; i++) inner.data[i] = random.normal();
  const parameters = {
    inner,
    innerBias: zeros(1, hidden),
    outer: zeros(hidden, vectorsTo.columns),
    direct: zeros(inputs.columns, vectorsTo.columns),
  };
  const sums = {
    inner: new Float32Array(inner.data.length),
    innerBias: new Float32Array(hidden),
    outer: new Float32Array(parameters.outer.data.length),
    direct: new Float32Array(parameters.direct.data.length),
  };
  const gelu = await openSession(geluNetwork(), { provider: 'cpu', threads: 0 });
  try {
    const based = await applyLinear(algebra, base, vectorsFrom);
    const order = Uint32Array.from({ length: inputs.rows }, (_, i) => i);
    for (let step = 0; step < settings.steps; step++) {
      const rows = drawRows(order, settings.batch, random);
      const x = pickRows(inputs, rows);
      const z = await algebra.product(x, parameters.inner);
      addToRows(z, parameters.innerBias.data);
      const { value, slope } = await activate(gelu, z);
      const y = pickRows(based, rows);
      addTo(y, await algebra.product(value, parameters.outer));
      addTo(y, await algebra.product(x, parameters.direct));
      const mapped = unitRows(y);
      const people = Uint32Array.from(rows, (row) => personOf[row] as number);
      const pull = await tripletGradient(algebra, mapped, pickRows(vectorsTo, rows), people, settings.margin, random);
      const gradient = throughUnit(pull, mapped, y);
      const back = await algebra.product(gradient, parameters.outer, 'b');
      for (let i = 0; i < back.data.length; i++) back.data[i] = (back.data[i] as number) * (slope.data[i] as number);
      const gradients = {
        inner: await algebra.product(x, back, 'a'),
        innerBias: columnSums(back),
        outer: await algebra.product(value, gradient, 'a'),
        direct: await algebra.product(x, gradient, 'a'),
      };
      for (const name of ['inner', 'innerBias', 'outer', 'direct'] as const)
        adaGrad(parameters[name].data, sums[name], gradients[name].data, settings.learningRate);
    }
  } finally {
    await gelu.close();
  }
  const { direct, outer, innerBias } = parameters;
  return { kind: 'residual', base, centre, scale, inner, innerBias: innerBias.data, outer, direct };
}

/** The first `count` of a fresh shuffle (Fisher and Yates). */
function drawRows(order: Uint32Array, count: number, random: Random): Uint32Array {
  const wanted = Math.min(count, order.length);
  for (let i = 0; i < wanted; i++) {
    const other = i + random.below(order.length - i);
    [order[i], order[other]] = [order[other] as number, order[i] as number];
  }
  return order.slice(0, wanted);
}

async function activate(gelu: OnnxSession, z: Matrix): Promise<{ value: Matrix; slope: Matrix }> {
  const { value, slope } = await gelu.run({ z: { data: z.data, dims: [z.rows, z.columns] } });
  assertInvariant(value && slope, 'the activation has a value and a slope');
  return { value: matrixOf(z.rows, z.columns, value.data), slope: matrixOf(z.rows, z.columns, slope.data) };
}

/**
 * The gradient of the mean harmonic triplet loss with respect to the mapped vectors, shape as `mapped`. With squared distances d(a, p) - d(a, n) has
 * the gradient 2(n - p) in a, 2(p - a) in p and 2(a - n) in n.
 */
export async function tripletGradient(
  algebra: Algebra,
  mapped: Matrix,
  frozen: Matrix,
  people: Uint32Array,
  margin: number,
  random: Random,
): Promise<Matrix> {
  const n = mapped.rows;
  const pool = zeros(2 * n, mapped.columns);
  pool.data.set(mapped.data);
  pool.data.set(frozen.data, mapped.data.length);
  const { data: cosines } = await algebra.product(pool, pool, 'b');
  const gradient = zeros(n, mapped.columns);
  const personAt = (member: number): number => people[member % n] as number;
  const members = new Map<number, number[]>();
  for (let member = 0; member < 2 * n; member++) {
    const known = members.get(personAt(member));
    if (known) known.push(member);
    else members.set(personAt(member), [member]);
  }
  const distance = (one: number, other: number): number => 2 - 2 * (cosines[one * 2 * n + other] as number);
  const pull = (member: number, towards: number, from: number): void => {
    if (member >= n) return;
    const [target, source] = [rowOf(pool, towards), rowOf(pool, from)];
    for (let i = 0; i < gradient.columns; i++) {
      const position = member * gradient.columns + i;
      gradient.data[position] =
        (gradient.data[position] as number) + (2 * ((source[i] as number) - (target[i] as number))) / n;
    }
  };
  for (let anchor = 0; anchor < 2 * n; anchor++) {
    const own = (members.get(personAt(anchor)) ?? []).filter((member) => member !== anchor);
    const positive = own[random.below(own.length)];
    if (positive === undefined) continue;
    const near = distance(anchor, positive);
    let [negative, seen] = [-1, 0];
    for (let member = 0; member < 2 * n; member++) {
      const far = distance(anchor, member);
      if (far <= near || far >= near + margin || personAt(member) === personAt(anchor)) continue;
      // Each of those seen is as likely as the others (reservoir sampling).
      if (random.below(++seen) === 0) negative = member;
    }
    if (negative < 0) continue;
    pull(anchor, positive, negative);
    pull(positive, anchor, positive);
    pull(negative, negative, anchor);
  }
  return gradient;
}

/** From the gradient in unit rows to that in the rows before they were scaled. */
function throughUnit(gradient: Matrix, unit: Matrix, rows: Matrix): Matrix {
  const result = zeros(gradient.rows, gradient.columns);
  for (let row = 0; row < gradient.rows; row++) {
    const [g, u, y] = [rowOf(gradient, row), rowOf(unit, row), rowOf(rows, row)];
    let [along, norm] = [0, 0];
    for (let i = 0; i < g.length; i++) {
      along += (g[i] as number) * (u[i] as number);
      norm += (y[i] as number) ** 2;
    }
    norm = Math.sqrt(norm) || 1;
    for (let i = 0; i < g.length; i++)
      result.data[row * g.length + i] = ((g[i] as number) - along * (u[i] as number)) / norm;
  }
  return result;
}

function adaGrad(parameters: Float32Array, sums: Float32Array, gradients: Float32Array, rate: number): void {
  for (let i = 0; i < parameters.length; i++) {
    const gradient = gradients[i] as number;
    const sum = (sums[i] as number) + gradient * gradient;
    sums[i] = sum;
    parameters[i] = (parameters[i] as number) - (rate * gradient) / Math.sqrt(sum + epsilon);
  }
}

function columnSums({ rows, columns, data }: Matrix): Matrix {
  const sums = zeros(1, columns);
  for (let i = 0; i < rows * columns; i++)
    sums.data[i % columns] = (sums.data[i % columns] as number) + (data[i] as number);
  return sums;
}

function addTo(matrix: Matrix, other: Matrix): void {
  for (let i = 0; i < matrix.data.length; i++) matrix.data[i] = (matrix.data[i] as number) + (other.data[i] as number);
}

function addToRows({ columns, data }: Matrix, row: Float32Array): void {
  for (let i = 0; i < data.length; i++) data[i] = (data[i] as number) + (row[i % columns] as number);
}
