/**
 * Weights of a TensorFlow.js model (`*-weights_manifest.json` + `.bin`), read into float32.
 *
 * Quantised values become `value * scale + min`, in double precision and then rounded, as TensorFlow.js does. A weight that is asked for under
 * another name or shape than the manifest has is an error, so a changed dependency cannot give a wrong network.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { HarmonidError } from '../../errors.js';

const manifestSchema = z
  .array(
    z.object({
      paths: z.array(z.string()),
      weights: z.array(
        z.object({
          name: z.string(),
          /** Empty for a scalar. */
          shape: z.array(z.int().positive()),
          dtype: z.enum(['float32', 'int32']),
          quantization: z.object({ dtype: z.literal('uint8'), scale: z.number(), min: z.number() }).optional(),
        }),
      ),
    }),
  )
  .length(1);

/** A tensor in TensorFlow's layout (convolutions: height, width, in, out). */
export interface Weight {
  readonly values: Float32Array;
  readonly shape: readonly number[];
}

export interface TfjsWeights {
  /** The weight called `name`; `null` in `shape` takes any size. @throws MODEL_INVALID */
  weight(name: string, shape: readonly (number | null)[]): Weight;
}

/**
 * Reads the model called `name` from `folder`.
 * @param binSha256 the digest that its `.bin` must have: the quantised weights that this project's figures were measured with.
 * @throws MODEL_NOT_FOUND, MODEL_INVALID
 */
export async function readTfjsWeights(folder: string, name: string, binSha256: string): Promise<TfjsWeights> {
  const manifestPath = join(folder, `${name}-weights_manifest.json`);
  const parsed = manifestSchema.safeParse(JSON.parse((await read(manifestPath)).toString('utf8')));
  if (!parsed.success) throw invalid(`${manifestPath}: ${z.prettifyError(parsed.error)}`);
  const group = parsed.data[0];
  if (group === undefined || group.paths.length === 0) throw invalid(`${manifestPath} names no weights`);
  const bin = Buffer.concat(await Promise.all(group.paths.map((path) => read(join(folder, path)))));
  const actual = createHash('sha256').update(bin).digest('hex');
  if (actual !== binSha256) throw invalid(`the weights ${name} have SHA-256 ${actual}, ${binSha256} is wanted`);

  const weights = new Map<string, Weight>();
  let offset = 0;
  for (const { name: weightName, shape, dtype, quantization } of group.weights) {
    const count = shape.reduce((product, size) => product * size, 1);
    const values = new Float32Array(count);
    const bytes = quantization ? count : count * 4;
    if (offset + bytes > bin.length) throw invalid(`${name} ends inside ${weightName}`);
    for (let i = 0; i < count; i++) {
      values[i] = quantization
        ? bin.readUInt8(offset + i) * quantization.scale + quantization.min
        : bin.readFloatLE(offset + i * 4);
    }
    offset += bytes;
    // Integers are left-overs of the original graph's shape arithmetic; no network reads them.
    if (dtype === 'float32') weights.set(weightName, { values, shape });
  }
  if (offset !== bin.length) throw invalid(`${name} has ${bin.length} bytes, its manifest describes ${offset}`);

  return {
    weight(weightName, shape) {
      const weight = weights.get(weightName);
      if (weight === undefined) throw invalid(`${name} has no weight ${weightName}`);
      const fits =
        weight.shape.length === shape.length && shape.every((size, i) => size === null || size === weight.shape[i]);
      if (!fits)
        throw invalid(`${name}: ${weightName} has shape [${weight.shape.join()}], [${shape.join()}] is wanted`);
      return weight;
    },
  };
}

async function read(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new HarmonidError('MODEL_NOT_FOUND', `the weights ${path} cannot be read`, { cause: error });
  }
}

function invalid(message: string): HarmonidError {
  return new HarmonidError('MODEL_INVALID', message);
}
