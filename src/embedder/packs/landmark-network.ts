/**
 * face-api's 68-landmark network as an ONNX graph: four dense blocks of depthwise separable convolutions and one matrix.
 *
 * Input `image`: float32 [N, 3, 112, 112], RGB 0 to 255, a square around the face. Output `landmarks`: [N, 68, 2], x and y as
 * fractions of the square, iBUG 300-W order. Source of the wiring: face-api's faceFeatureExtractor and faceLandmarkNet.
 */
import { denseKernel, depthwiseKernel, matrixKernel, scaleInputs, type Kernel } from './kernel.js';
import { add, averagePool, convolution, relu, samePadding, subtractMean, unpadded } from './layers.js';
import { OnnxWriter } from './onnx-writer.js';
import type { TfjsWeights } from './tfjs-weights.js';

export const landmarkSize = 112;
export const landmarkCount = 68;

const meanRgb = [122.782, 117.001, 104.298];
const pixelRange = 255;

/** Channels after each dense block; the first takes the image. */
const blockChannels = [32, 64, 128, 256];

/** Depthwise 3x3, then 1x1 with a bias. */
function separable(
  graph: OnnxWriter,
  weights: TfjsWeights,
  input: string,
  layer: { name: string; channelsIn: number; channelsOut: number; stride: 1 | 2 },
): string {
  const { name, channelsIn, channelsOut, stride } = layer;
  const depthwise = depthwiseKernel(weights.weight(`${name}/depthwise_filter`, [3, 3, channelsIn, 1]));
  const pointwise = denseKernel(
    weights.weight(`${name}/pointwise_filter`, [1, 1, channelsIn, channelsOut]),
    weights.weight(`${name}/bias`, [channelsOut]),
  );
  const planes = convolution(graph, input, depthwise, stride, samePadding(stride));
  return convolution(graph, planes, pointwise, 1, unpadded);
}

/** out1 = first(x); each further layer sees the rectified sum of all before it; the result is the rectified sum of all. */
function denseBlock(graph: OnnxWriter, weights: TfjsWeights, name: string, channels: number, first: string): string {
  let sum = relu(graph, first);
  let input = sum;
  for (const layer of ['conv1', 'conv2', 'conv3']) {
    const output = separable(graph, weights, input, {
      name: `${name}/${layer}`,
      channelsIn: channels,
      channelsOut: channels,
      stride: 1,
    });
    sum = add(graph, sum, output);
    input = relu(graph, sum);
  }
  return input;
}

/** The bytes of the ONNX file. */
export function landmarkNetwork(weights: TfjsWeights): Uint8Array {
  const graph = new OnnxWriter('landmarks68');
  // The first convolution is padded, so the mean must be subtracted before it; the range may be folded.
  const centred = subtractMean(graph, 'image', meanRgb);
  const pixels: Kernel = scaleInputs(
    denseKernel(weights.weight('dense0/conv0/filters', [3, 3, 3, 32]), weights.weight('dense0/conv0/bias', [32])),
    1 / pixelRange,
  );
  let value = denseBlock(graph, weights, 'dense0', 32, convolution(graph, centred, pixels, 2, samePadding(2)));
  for (let block = 1; block < blockChannels.length; block++) {
    const channelsIn = blockChannels[block - 1] as number;
    const channelsOut = blockChannels[block] as number;
    const first = separable(graph, weights, value, { name: `dense${block}/conv0`, channelsIn, channelsOut, stride: 2 });
    value = denseBlock(graph, weights, `dense${block}`, channelsOut, first);
  }
  value = averagePool(graph, value, 7, 2);
  const outputs = landmarkCount * 2;
  const matrix = matrixKernel(weights.weight('fc/weights', [256, outputs]), weights.weight('fc/bias', [outputs]));
  value = convolution(graph, value, matrix, 1, unpadded);
  graph.rename(graph.node('Reshape', [value, graph.integers([0, landmarkCount, 2])]), 'landmarks');
  return graph.finish(
    [{ name: 'image', dims: ['batch', 3, landmarkSize, landmarkSize] }],
    [{ name: 'landmarks', dims: ['batch', landmarkCount, 2] }],
  );
}
