/**
 * Products of large matrices and what is made of them, computed by ONNX Runtime.
 *
 * A product is an ONNX graph of one Gemm node: all cores, vector instructions, float32. Systems are solved with a blocked Cholesky
 * factorisation (Golub & Van Loan, Matrix Computations, 4th ed., 4.2.6), whose diagonal blocks are done here in float64 and whose other
 * work is products. Blocks the calling thread: belongs into a thread of its own.
 */
import { assertInvariant, HarmonidError } from '../errors.js';
import { openSession, type OnnxSession } from '../embedder/onnx-session.js';
import { OnnxWriter } from '../embedder/packs/onnx-writer.js';
import { matrixOf, rowRange, zeros, type Matrix } from './matrix.js';

export interface Algebra {
  /** a·b, with `transposed` aᵀ·b or a·bᵀ. */
  product(a: Matrix, b: Matrix, transposed?: 'a' | 'b'): Promise<Matrix>;
  close(): Promise<void>;
}

export async function openAlgebra(): Promise<Algebra> {
  const [plain, left, right] = await Promise.all([openGemm({}), openGemm({ transA: 1 }), openGemm({ transB: 1 })]);
  return {
    async product(a, b, transposed) {
      const [rows, inner] = transposed === 'a' ? [a.columns, a.rows] : [a.rows, a.columns];
      const [otherInner, columns] = transposed === 'b' ? [b.columns, b.rows] : [b.rows, b.columns];
      assertInvariant(inner === otherInner, 'factors of a product agree in their inner dimension');
      if (rows === 0 || columns === 0 || inner === 0) return zeros(rows, columns);
      const session = transposed === 'a' ? left : transposed === 'b' ? right : plain;
      const { c } = await session.run({
        a: { data: a.data, dims: [a.rows, a.columns] },
        b: { data: b.data, dims: [b.rows, b.columns] },
      });
      assertInvariant(c, 'the graph of a product has one output');
      return matrixOf(rows, columns, c.data);
    },
    async close() {
      for (const session of [plain, left, right]) await session.close();
    },
  };
}

function openGemm(attributes: Readonly<Record<string, number>>): Promise<OnnxSession> {
  const graph = new OnnxWriter('product');
  graph.rename(graph.node('Gemm', ['a', 'b'], attributes), 'c');
  const value = (name: string): { name: string; dims: string[] } => ({ name, dims: [`${name}Rows`, `${name}Columns`] });
  return openSession(graph.finish([value('a'), value('b')], [value('c')]), { provider: 'cpu', threads: 0 });
}

/** Rows of a diagonal block: larger leaves less to the products, smaller makes more of them. */
const blockRows = 192;
/** Rows of what is left that are updated at once: the lower triangle alone, and little memory. */
const panelRows = 1024;

/**
 * Solves (s + ridge·I)·x = b.
 * @param s symmetric, positive semi-definite, shape [n, n]; its lower triangle is overwritten, so that no second matrix of its size is wanted
 * @param b shape [n, m]
 * @throws INVALID_ARGUMENT when the ridge is too small for float32 to keep the system positive definite
 */
export async function solvePositive(algebra: Algebra, s: Matrix, ridge: number, b: Matrix): Promise<Matrix> {
  const n = s.rows;
  assertInvariant(s.columns === n && b.rows === n, 'a system is square and has a right side of as many rows');
  const factor = s.data;
  for (let i = 0; i < n; i++) factor[i * n + i] = (factor[i * n + i] as number) + ridge;
  const inverses: Matrix[] = [];
  for (let from = 0; from < n; from += blockRows) {
    const to = Math.min(n, from + blockRows);
    const inverse = invertedFactor(factor, n, from, to);
    inverses.push(inverse);
    const below = await algebra.product(copyBlock(factor, n, to, n, from, to), inverse, 'b');
    pasteBlock(factor, n, to, from, below);
    for (let start = to; start < n; start += panelRows) {
      const end = Math.min(n, start + panelRows);
      const left = rowRange(below, 0, end - to);
      const update = await algebra.product(rowRange(below, start - to, end - to), left, 'b');
      for (let row = start; row < end; row++) {
        for (let column = to; column <= row; column++)
          factor[row * n + column] =
            (factor[row * n + column] as number) -
            (update.data[(row - start) * update.columns + column - to] as number);
      }
    }
  }
  const x = matrixOf(n, b.columns, b.data.slice());
  const blocks = inverses.map((inverse, i) => ({ inverse, from: i * blockRows, to: Math.min(n, (i + 1) * blockRows) }));
  for (const { inverse, from, to } of blocks) {
    const known = await algebra.product(copyBlock(factor, n, from, to, 0, from), rowRange(x, 0, from));
    subtractRows(x, from, known);
    x.data.set((await algebra.product(inverse, rowRange(x, from, to))).data, from * x.columns);
  }
  for (const { inverse, from, to } of blocks.toReversed()) {
    const known = await algebra.product(copyBlock(factor, n, to, n, from, to), rowRange(x, to, n), 'a');
    subtractRows(x, from, known);
    x.data.set((await algebra.product(inverse, rowRange(x, from, to), 'a')).data, from * x.columns);
  }
  return x;
}

/** The inverse of the Cholesky factor of a diagonal block. */
function invertedFactor(data: Float32Array, n: number, from: number, to: number): Matrix {
  const size = to - from;
  const l = new Float64Array(size * size);
  const at = (row: number, column: number): number => l[row * size + column] as number;
  for (let row = 0; row < size; row++) {
    for (let column = 0; column <= row; column++) {
      let sum = data[(from + row) * n + from + column] as number;
      for (let k = 0; k < column; k++) sum -= at(row, k) * at(column, k);
      if (row !== column) l[row * size + column] = sum / at(column, column);
      else if (sum > 0) l[row * size + row] = Math.sqrt(sum);
      else
        throw new HarmonidError(
          'INVALID_ARGUMENT',
          'the system is not positive definite in float32: a larger ridge is wanted',
        );
    }
  }
  const inverse = new Float64Array(size * size);
  for (let column = 0; column < size; column++) {
    for (let row = column; row < size; row++) {
      let sum = row === column ? 1 : 0;
      for (let k = column; k < row; k++) sum -= at(row, k) * (inverse[k * size + column] as number);
      inverse[row * size + column] = sum / at(row, row);
    }
  }
  return matrixOf(size, size, Float32Array.from(inverse));
}

function copyBlock(
  data: Float32Array,
  n: number,
  rowFrom: number,
  rowTo: number,
  columnFrom: number,
  columnTo: number,
): Matrix {
  const block = zeros(rowTo - rowFrom, columnTo - columnFrom);
  for (let row = rowFrom; row < rowTo; row++)
    block.data.set(data.subarray(row * n + columnFrom, row * n + columnTo), (row - rowFrom) * block.columns);
  return block;
}

function pasteBlock(data: Float32Array, n: number, rowFrom: number, columnFrom: number, block: Matrix): void {
  for (let row = 0; row < block.rows; row++)
    data.set(block.data.subarray(row * block.columns, (row + 1) * block.columns), (rowFrom + row) * n + columnFrom);
}

function subtractRows(x: Matrix, from: number, known: Matrix): void {
  for (let i = 0; i < known.data.length; i++) {
    const position = from * x.columns + i;
    x.data[position] = (x.data[position] as number) - (known.data[i] as number);
  }
}
