/**
 * Convolution kernels and the exact algebra on them: what scale layers, batch norms and pixel normalisation do to weights.
 *
 * Pure; all sums in double precision, rounded to float32 once, when the kernel is written into a graph. Every function
 * returns a new kernel. Layout is ONNX's: output, input, height, width.
 */
import { assertInvariant } from '../../errors.js';
import type { Weight } from './tfjs-weights.js';

export interface Kernel {
  readonly weights: Float64Array;
  /** [outputs, inputs of a group, height, width] */
  readonly dims: readonly [number, number, number, number];
  readonly bias: Float64Array;
  /** 1, or the number of channels of a depthwise kernel. */
  readonly groups: number;
}

/** TensorFlow's dense filters [height, width, in, out] with a bias an output; no bias is zero. */
export function denseKernel(filters: Weight, bias?: Weight): Kernel {
  const [height = 1, width = 1, inputs = 1, outputs = 1] = filters.shape;
  const weights = new Float64Array(filters.values.length);
  const area = height * width;
  for (let spot = 0; spot < area; spot++) {
    for (let input = 0; input < inputs; input++) {
      const from = (spot * inputs + input) * outputs;
      for (let output = 0; output < outputs; output++) {
        weights[(output * inputs + input) * area + spot] = filters.values[from + output] as number;
      }
    }
  }
  return { weights, dims: [outputs, inputs, height, width], bias: biasOf(bias, outputs), groups: 1 };
}

/** TensorFlow's depthwise filters [height, width, channels, 1]. */
export function depthwiseKernel(filters: Weight): Kernel {
  const [height = 1, width = 1, channels = 1, multiplier = 1] = filters.shape;
  assertInvariant(multiplier === 1, 'a depthwise filter has one output a channel');
  // Read as dense filters of one input, [height, width, 1, channels], the layout is the same.
  const dense = denseKernel({ values: filters.values, shape: [height, width, 1, channels] });
  return { ...dense, groups: channels };
}

/** TensorFlow's matrix [in, out] as a 1x1 kernel. */
export function matrixKernel(matrix: Weight, bias?: Weight): Kernel {
  const [inputs = 1, outputs = 1] = matrix.shape;
  return denseKernel({ values: matrix.values, shape: [1, 1, inputs, outputs] }, bias);
}

/** scale * kernel(x) + shift, an output channel at a time. */
export function scaleOutputs(kernel: Kernel, scale: ArrayLike<number>, shift: ArrayLike<number>): Kernel {
  const [outputs, inputs, height, width] = kernel.dims;
  const size = inputs * height * width;
  const weights = new Float64Array(kernel.weights.length);
  const bias = new Float64Array(outputs);
  for (let output = 0; output < outputs; output++) {
    const factor = scale[output] as number;
    for (let i = output * size; i < (output + 1) * size; i++) weights[i] = (kernel.weights[i] as number) * factor;
    bias[output] = (kernel.bias[output] as number) * factor + (shift[output] as number);
  }
  return { ...kernel, weights, bias };
}

/** kernel(x * scale): exact with zero padding, because zero stays zero. */
export function scaleInputs(kernel: Kernel, scale: number): Kernel {
  return { ...kernel, weights: kernel.weights.map((weight) => weight * scale) };
}

/**
 * kernel(x - mean), a mean an input channel. Exact only where nothing is padded: padding is zero after the subtraction.
 */
export function subtractFromInputs(kernel: Kernel, mean: readonly number[]): Kernel {
  const [outputs, inputs, height, width] = kernel.dims;
  assertInvariant(kernel.groups === 1 && mean.length === inputs, 'one mean an input channel of a dense kernel');
  const area = height * width;
  const bias = kernel.bias.map((value, output) => {
    let sum = 0;
    for (let i = 0; i < inputs * area; i++) {
      sum += (kernel.weights[output * inputs * area + i] as number) * (mean[Math.floor(i / area)] as number);
    }
    return value - sum;
  });
  assertInvariant(bias.length === outputs, 'one bias an output');
  return { ...kernel, bias };
}

/** The kernel of `outputs` only, in that order. */
export function selectOutputs(kernel: Kernel, outputs: readonly number[]): Kernel {
  const [, inputs, height, width] = kernel.dims;
  const size = inputs * height * width;
  const weights = new Float64Array(outputs.length * size);
  outputs.forEach((from, to) => weights.set(kernel.weights.subarray(from * size, (from + 1) * size), to * size));
  const bias = Float64Array.from(outputs, (from) => kernel.bias[from] as number);
  return { ...kernel, weights, bias, dims: [outputs.length, inputs, height, width] };
}

function biasOf(bias: Weight | undefined, outputs: number): Float64Array {
  if (bias === undefined) return new Float64Array(outputs);
  assertInvariant(bias.values.length === outputs, 'one bias an output');
  return Float64Array.from(bias.values);
}
