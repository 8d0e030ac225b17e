/**
 * The algebra on convolution kernels against a naive convolution in TensorFlow's layout, on small random integers (fixed seed), for
 * which sums are exact. Applying an operation to the kernel must equal applying it to the pixels or to the result.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import {
  denseKernel,
  depthwiseKernel,
  matrixKernel,
  scaleInputs,
  scaleOutputs,
  selectOutputs,
  subtractFromInputs,
  type Kernel,
} from '../../../src/embedder/packs/kernel.js';
import { convolution, samePadding, unpadded } from '../../../src/embedder/packs/layers.js';
import { OnnxWriter } from '../../../src/embedder/packs/onnx-writer.js';
import type { Weight } from '../../../src/embedder/packs/tfjs-weights.js';
import { openSession } from '../../../src/embedder/onnx-session.js';

let state = 7;
function small(): number {
  state = (state * 48271) % 0x7fffffff;
  return (state % 9) - 4;
}

function randomWeight(...shape: number[]): Weight {
  const count = shape.reduce((a, b) => a * b, 1);
  return { values: Float32Array.from({ length: count }, small), shape };
}

type Image = (y: number, x: number, channel: number) => number;

/** TensorFlow's definition: out(y, x, o) = sum over the window of in(y s + dy - before, x s + dx - before, i) w(dy, dx, i, o). */
function naive(
  image: Image,
  filters: Weight,
  stride: number,
  y: number,
  x: number,
  output: number,
  before = 0,
): number {
  const [height = 0, width = 0, inputs = 0, outputs = 0] = filters.shape;
  let sum = 0;
  for (let dy = 0; dy < height; dy++) {
    for (let dx = 0; dx < width; dx++) {
      for (let i = 0; i < inputs; i++) {
        const weight = filters.values[((dy * width + dx) * inputs + i) * outputs + output] as number;
        sum += image(y * stride + dy - before, x * stride + dx - before, i) * weight;
      }
    }
  }
  return sum;
}

const side = 6;
const channels = 3;
const pixels = Array.from({ length: side * side * channels }, small);
/** Zero outside, which is what "same" padding means. */
const picture: Image = (y, x, channel) =>
  y < 0 || x < 0 || y >= side || x >= side ? 0 : (pixels[(y * side + x) * channels + channel] as number);

/** The kernel by ONNX Runtime, as [y][x][output]. */
async function convolved(
  image: Image,
  kernel: Kernel,
  stride: 1 | 2,
  same: boolean,
): Promise<(y: number, x: number, o: number) => number> {
  const graph = new OnnxWriter('test');
  graph.rename(convolution(graph, 'image', kernel, stride, same ? samePadding(stride) : unpadded), 'out');
  const inputs = kernel.dims[1] * kernel.groups;
  const bytes = graph.finish(
    [{ name: 'image', dims: [1, inputs, side, side] }],
    [{ name: 'out', dims: [1, kernel.dims[0], 'height', 'width'] }],
  );
  const data = new Float32Array(inputs * side * side);
  for (let i = 0; i < data.length; i++) {
    data[i] = image(Math.floor(i / side) % side, i % side, Math.floor(i / side / side));
  }
  const session = await openSession(bytes, { provider: 'cpu', threads: 1 });
  const { out } = await session.run({ image: { data, dims: [1, inputs, side, side] } });
  await session.close();
  assert.ok(out);
  const [, , height = 0, width = 0] = out.dims;
  return (y, x, output) => out.data[(output * height + y) * width + x] as number;
}

const spots = [
  [0, 0],
  [0, 1],
  [1, 0],
  [1, 1],
] as const;

describe('kernels', () => {
  const filters = randomWeight(3, 3, channels, 4);
  const bias = randomWeight(4);

  it('convolve as TensorFlow does, unpadded', async () => {
    const value = await convolved(picture, denseKernel(filters, bias), 1, false);
    for (const [y, x] of spots) {
      for (let o = 0; o < 4; o++) {
        assert.equal(value(y, x, o), naive(picture, filters, 1, y, x, o) + (bias.values[o] as number));
      }
    }
  });

  it('pad "same" before and after with stride 1, only after with stride 2', async () => {
    const one = await convolved(picture, denseKernel(filters), 1, true);
    const two = await convolved(picture, denseKernel(filters), 2, true);
    for (let o = 0; o < 4; o++) {
      for (const [y, x] of [...spots, [5, 5] as const])
        assert.equal(one(y, x, o), naive(picture, filters, 1, y, x, o, 1));
      for (const [y, x] of [...spots, [2, 2] as const])
        assert.equal(two(y, x, o), naive(picture, filters, 2, y, x, o, 0));
    }
  });

  it('keep channels apart when depthwise', async () => {
    const depthwise = randomWeight(3, 3, channels, 1);
    const value = await convolved(picture, depthwiseKernel(depthwise), 1, false);
    for (const [y, x] of spots) {
      for (let channel = 0; channel < channels; channel++) {
        let sum = 0;
        for (let d = 0; d < 9; d++) {
          const weight = depthwise.values[d * channels + channel] as number;
          sum += picture(y + Math.floor(d / 3), x + (d % 3), channel) * weight;
        }
        assert.equal(value(y, x, channel), sum);
      }
    }
  });

  it('multiply by a matrix', async () => {
    const matrix = randomWeight(channels, 2);
    const value = await convolved(picture, matrixKernel(matrix), 1, false);
    for (let o = 0; o < 2; o++) {
      let sum = 0;
      for (let i = 0; i < channels; i++) sum += picture(3, 2, i) * (matrix.values[i * 2 + o] as number);
      assert.equal(value(3, 2, o), sum);
    }
  });

  it('take over what scale layers, pixel means and pixel ranges do', async () => {
    const [scale, shift, mean] = [
      [2, -1, 3, 4],
      [5, 6, -7, 8],
      [1, 2, -3],
    ] as const;
    const plain = denseKernel(filters, bias);
    const scaled = await convolved(picture, scaleOutputs(plain, scale, shift), 1, false);
    const centred = await convolved(picture, subtractFromInputs(plain, mean), 1, false);
    const halved = await convolved(picture, scaleInputs(plain, 0.5), 2, true);
    const centredPicture: Image = (y, x, channel) => picture(y, x, channel) - (mean[channel] as number);
    for (const [y, x] of spots) {
      for (let o = 0; o < 4; o++) {
        const b = bias.values[o] as number;
        assert.equal(
          scaled(y, x, o),
          (naive(picture, filters, 1, y, x, o) + b) * (scale[o] as number) + (shift[o] as number),
        );
        assert.equal(centred(y, x, o), naive(centredPicture, filters, 1, y, x, o) + b);
        assert.equal(halved(y, x, o), naive(picture, filters, 2, y, x, o) / 2 + b);
      }
    }
  });

  it('give selected outputs in the order that is asked for', async () => {
    const value = await convolved(picture, selectOutputs(denseKernel(filters, bias), [3, 1]), 1, false);
    for (const [y, x] of spots) {
      assert.equal(value(y, x, 0), naive(picture, filters, 1, y, x, 3) + (bias.values[3] as number));
      assert.equal(value(y, x, 1), naive(picture, filters, 1, y, x, 1) + (bias.values[1] as number));
    }
  });
});
