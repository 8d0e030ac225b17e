/**
 * A small network that shows whether an execution provider computes at all, computes right, and computes faster.
 *
 * Four 3x3 convolutions over 64 channels of 96x96: 2.7 billion operations, some 20 to 60 ms on a CPU and far less on a GPU. The
 * weights are constant and the input is all ones, so that every value of the output away from the border is known.
 */
import { convolution, unpadded } from './layers.js';
import { OnnxWriter } from './onnx-writer.js';

const channels = 64;
const side = 96;
const layers = 4;
/** Each layer multiplies by 64 * 9 / 512 = 1.125, which float16 arithmetic represents exactly, too. */
const weight = 1 / 512;

/** Every value of `output`. */
export const probeOutput = (channels * 9 * weight) ** layers;

export function probeInput(): { data: Float32Array; dims: readonly number[] } {
  return { data: new Float32Array(channels * side * side).fill(1), dims: [1, channels, side, side] };
}

/** The bytes of an ONNX file with the input `input` and the output `output`. */
export function probeNetwork(): Uint8Array {
  const graph = new OnnxWriter('probe');
  const kernel = {
    weights: new Float64Array(channels * channels * 9).fill(weight),
    dims: [channels, channels, 3, 3],
    bias: new Float64Array(channels),
    groups: 1,
  } as const;
  let value = 'input';
  for (let layer = 0; layer < layers; layer++) value = convolution(graph, value, kernel, 1, unpadded);
  graph.rename(value, 'output');
  const sideAfter = side - 2 * layers;
  return graph.finish(
    [{ name: 'input', dims: [1, channels, side, side] }],
    [{ name: 'output', dims: [1, channels, sideAfter, sideAfter] }],
  );
}
