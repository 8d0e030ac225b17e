/**
 * An adapter that runs: unit vectors of one space in, unit vectors of another out, in batches, by ONNX Runtime.
 *
 * Blocks the calling thread while it computes.
 */
import { assertInvariant, HarmonidError } from '../errors.js';
import { openSession } from '../embedder/onnx-session.js';
import type { AdapterModel } from './adapter-model.js';
import { adapterInput, adapterNetwork, adapterOutput } from './adapter-network.js';
import { rowRange, zeros, type Matrix } from './matrix.js';

export interface Adapter {
  /** @param vectors unit rows, shape [n, dimensions from]; the answer has the shape [n, dimensions to] */
  map(vectors: Matrix): Promise<Matrix>;
  close(): Promise<void>;
}

/** Rows of one run: the features of more would not stay in the processor's cache. */
export const batchRows = 1024;

/** @throws MODEL_INVALID when ONNX Runtime does not take the graph, or it gives something else than rows */
export async function openAdapter(network: Uint8Array, dimensionsTo: number): Promise<Adapter> {
  const session = await openSession(network, { provider: 'cpu', threads: 0 });
  return {
    async map(vectors) {
      const mapped = zeros(vectors.rows, dimensionsTo);
      for (let from = 0; from < vectors.rows; from += batchRows) {
        const { rows, columns, data } = rowRange(vectors, from, Math.min(vectors.rows, from + batchRows));
        const output = (await session.run({ [adapterInput]: { data, dims: [rows, columns] } }))[adapterOutput];
        if (output?.data.length !== rows * dimensionsTo)
          throw new HarmonidError(
            'MODEL_INVALID',
            `an adapter gave [${output?.dims.join(', ') ?? 'nothing'}], ${rows} x ${dimensionsTo} is wanted`,
          );
        assertInvariant(allFinite(output.data), 'a mapped vector is finite');
        mapped.data.set(output.data, from * dimensionsTo);
      }
      return mapped;
    },
    close: () => session.close(),
  };
}

/** What an adapter makes of vectors, through the very graph that would serve. */
export async function mapThrough(model: AdapterModel, vectors: Matrix, dimensionsTo: number): Promise<Matrix> {
  const adapter = await openAdapter(adapterNetwork(model), dimensionsTo);
  try {
    return await adapter.map(vectors);
  } finally {
    await adapter.close();
  }
}

/** A loop: `every(Number.isFinite)` takes ten times as long, as long as all of a linear map. */
function allFinite(values: Float32Array): boolean {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return false;
  return true;
}
