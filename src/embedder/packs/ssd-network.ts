/**
 * face-api's SSD MobileNet v1 face detector as an ONNX graph, boxes decoded inside.
 *
 * Input `image`: float32 [N, 3, 512, 512], RGB 0 to 255. Outputs `boxes`: [N, 5118, 4], left, top, right, bottom as fractions of
 * the input, not clipped; `scores`: [N, 5118] in [0, 1]. Batch norms are folded into the depthwise convolutions, the box coder's
 * variances into the predictors. Source of the wiring: face-api's ssdMobilenetv1; box coder of Liu et al., SSD, ECCV 2016.
 */
import { denseKernel, depthwiseKernel, scaleInputs, scaleOutputs, selectOutputs, type Kernel } from './kernel.js';
import { add, convolution, relu6, samePadding, subtractMean, unpadded } from './layers.js';
import { OnnxWriter } from './onnx-writer.js';
import type { TfjsWeights } from './tfjs-weights.js';

export const ssdSize = 512;
export const ssdCandidates = 5118;

/** pixel / 127.5 - 1 */
const pixelCentre = 127.5;
const batchNormEpsilon = 0.0010000000474974513;

/** Channels after the first convolution and after each of the 13 depthwise separable ones. */
const mobileNetChannels = [32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024];
/** Layers that halve width and height. */
const stridedLayers = new Set([2, 4, 6, 12]);
/** Channels of the eight convolutions after MobileNet: 1x1 and 3x3 with stride 2 in turn. */
const extraChannels = [256, 512, 128, 256, 128, 256, 64, 128];

/** Anchors a cell of each of the six predictors. */
const predictorAnchors = [3, 6, 6, 6, 6, 6];
/** Values of a predictor an anchor: encoded box y, x, height, width; scores of background, face and one unused class. */
const boxValues = 4;
const classValues = 3;
const faceClass = 1;
/** The coder's variances: offsets are a tenth of the anchor's size, logarithms of sizes a fifth. */
const offsetVariance = 10;
const sizeVariance = 5;

function pointwiseKernel(
  weights: TfjsWeights,
  name: string,
  size: number,
  channelsIn: number,
  channelsOut: number,
): Kernel {
  return denseKernel(
    weights.weight(`${name}/weights`, [size, size, channelsIn, channelsOut]),
    weights.weight(`${name}/convolution_bn_offset`, [channelsOut]),
  );
}

/** Depthwise convolution with its batch norm (x - mean) / sqrt(variance + epsilon) * gamma + beta. */
function normedDepthwiseKernel(weights: TfjsWeights, name: string, channels: number): Kernel {
  const statistic = (part: string): Float32Array => weights.weight(`${name}/BatchNorm/${part}`, [channels]).values;
  const [gamma, beta, mean, variance] = ['gamma', 'beta', 'moving_mean', 'moving_variance'].map(statistic);
  const scale = Float64Array.from(
    { length: channels },
    (_, channel) => (gamma?.[channel] as number) / Math.sqrt((variance?.[channel] as number) + batchNormEpsilon),
  );
  const shift = scale.map((factor, channel) => (beta?.[channel] as number) - (mean?.[channel] as number) * factor);
  return scaleOutputs(depthwiseKernel(weights.weight(`${name}/depthwise_weights`, [3, 3, channels, 1])), scale, shift);
}

/** [N, anchors * values, rows, columns] -> [N, rows * columns * anchors, values], or without the last axis for one value. */
function flatten(graph: OnnxWriter, planes: string, values: number): string {
  const cells = graph.node('Transpose', [planes], { perm: [0, 2, 3, 1] });
  return graph.node('Reshape', [cells, graph.integers(values === 1 ? [0, -1] : [0, -1, values])]);
}

/** The bytes of the ONNX file. */
export function ssdNetwork(weights: TfjsWeights): Uint8Array {
  const graph = new OnnxWriter('ssd-mobilenet-v1');

  // The first convolution is padded, so the centre must be subtracted before it; the range may be folded.
  const pixels = scaleInputs(pointwiseKernel(weights, 'MobilenetV1/Conv2d_0_pointwise', 3, 3, 32), 1 / pixelCentre);
  const centred = subtractMean(graph, 'image', [pixelCentre, pixelCentre, pixelCentre]);
  let value = relu6(graph, convolution(graph, centred, pixels, 2, samePadding(2)));
  let channels = 32;
  /** What the six predictors look at. */
  const features: { value: string; channels: number }[] = [];
  for (let layer = 1; layer < mobileNetChannels.length; layer++) {
    const channelsOut = mobileNetChannels[layer] as number;
    const stride = stridedLayers.has(layer) ? 2 : 1;
    const name = `MobilenetV1/Conv2d_${layer}`;
    const depthwise = normedDepthwiseKernel(weights, `${name}_depthwise`, channels);
    const pointwise = pointwiseKernel(weights, `${name}_pointwise`, 1, channels, channelsOut);
    value = relu6(graph, convolution(graph, value, depthwise, stride, samePadding(stride)));
    value = relu6(graph, convolution(graph, value, pointwise, 1, unpadded));
    channels = channelsOut;
    if (layer === 11 || layer === 13) features.push({ value, channels });
  }
  extraChannels.forEach((channelsOut, layer) => {
    const strided = layer % 2 === 1;
    const kernel = pointwiseKernel(
      weights,
      `Prediction/Conv2d_${layer}_pointwise`,
      strided ? 3 : 1,
      channels,
      channelsOut,
    );
    value = relu6(graph, convolution(graph, value, kernel, strided ? 2 : 1, strided ? samePadding(2) : unpadded));
    channels = channelsOut;
    if (strided) features.push({ value, channels });
  });

  const codes: string[] = [];
  const logits: string[] = [];
  features.forEach((feature, index) => {
    const anchors = Array.from({ length: predictorAnchors[index] as number }, (_, anchor) => anchor);
    const predictor = (part: string, valueCount: number): Kernel => {
      const name = `Prediction/BoxPredictor_${index}/${part}`;
      const outputs = anchors.length * valueCount;
      return denseKernel(
        weights.weight(`${name}/weights`, [1, 1, feature.channels, outputs]),
        weights.weight(`${name}/biases`, [outputs]),
      );
    };
    // From y, x, height, width to x, y, width, height, with the variances in the weights.
    const boxOutputs = anchors.flatMap((anchor) => [1, 0, 3, 2].map((part) => anchor * boxValues + part));
    const variances = boxOutputs.map((_, output) => 1 / (output % boxValues < 2 ? offsetVariance : sizeVariance));
    const boxKernel = scaleOutputs(
      selectOutputs(predictor('BoxEncodingPredictor', boxValues), boxOutputs),
      variances,
      variances.map(() => 0),
    );
    const faceKernel = selectOutputs(
      predictor('ClassPredictor', classValues),
      anchors.map((anchor) => anchor * classValues + faceClass),
    );
    codes.push(flatten(graph, convolution(graph, feature.value, boxKernel, 1, unpadded), boxValues));
    logits.push(flatten(graph, convolution(graph, feature.value, faceKernel, 1, unpadded), 1));
  });

  // centre = code * size + centre of the anchor; half size = exp(code) * half size of the anchor.
  const code = graph.node('Concat', codes, { axis: 1 });
  const [offset, logSize] = graph.nodeOf('Split', [code, graph.integers([2, 2])], 2, { axis: 2 }) as [string, string];
  const anchors = anchorBoxes(weights);
  const dims = [1, ssdCandidates, 2];
  const centre = add(
    graph,
    graph.node('Mul', [offset, graph.weights(anchors.sizes, dims)]),
    graph.weights(anchors.centres, dims),
  );
  const half = graph.node('Mul', [graph.node('Exp', [logSize]), graph.weights(anchors.halfSizes, dims)]);
  const corners = [graph.node('Sub', [centre, half]), add(graph, centre, half)];
  graph.rename(graph.node('Concat', corners, { axis: 2 }), 'boxes');
  graph.rename(graph.node('Sigmoid', [graph.node('Concat', logits, { axis: 1 })]), 'scores');
  return graph.finish(
    [{ name: 'image', dims: ['batch', 3, ssdSize, ssdSize] }],
    [
      { name: 'boxes', dims: ['batch', ssdCandidates, 4] },
      { name: 'scores', dims: ['batch', ssdCandidates] },
    ],
  );
}

/** The anchors, stored as top, left, bottom, right: their centres and sizes as x, y. */
function anchorBoxes(weights: TfjsWeights): { centres: Float32Array; sizes: Float32Array; halfSizes: Float32Array } {
  const { values } = weights.weight('Output/extra_dim', [1, ssdCandidates, 4]);
  const centres = new Float32Array(ssdCandidates * 2);
  const sizes = new Float32Array(ssdCandidates * 2);
  for (let anchor = 0; anchor < ssdCandidates; anchor++) {
    for (let axis = 0; axis < 2; axis++) {
      const start = values[anchor * 4 + (1 - axis)] as number;
      const end = values[anchor * 4 + (3 - axis)] as number;
      centres[anchor * 2 + axis] = (start + end) / 2;
      sizes[anchor * 2 + axis] = end - start;
    }
  }
  return { centres, sizes, halfSizes: sizes.map((size) => size / 2) };
}
