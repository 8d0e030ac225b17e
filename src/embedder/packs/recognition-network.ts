/**
 * dlib's face recognition ResNet (29 convolutions, 128-d metric learning; D. King, dlib_face_recognition_resnet_model_v1) as an
 * ONNX graph.
 *
 * Input `image`: float32 [N, 3, 150, 150], RGB 0 to 255. Output `descriptor`: [N, 128], raw: not normalised. Scale layers and
 * the pixels' mean and range are folded into the convolutions, exactly: the first convolution is not padded.
 * Source of the wiring: dlib's dnn_face_recognition_ex.cpp and face-api's faceRecognitionNet.
 */
import { denseKernel, matrixKernel, scaleInputs, scaleOutputs, subtractFromInputs, type Kernel } from './kernel.js';
import { add, appendZeros, averagePool, convolution, maxPool, relu, samePadding, unpadded } from './layers.js';
import { OnnxWriter } from './onnx-writer.js';
import type { TfjsWeights } from './tfjs-weights.js';

export const recognitionSize = 150;
export const recognitionDimensions = 128;

const meanRgb = [122.782, 117.001, 104.298];
/** dlib divides by 256 (face-api by 255, which turns the descriptors by a cosine of 0.9999995). */
const pixelRange = 256;

interface Block {
  readonly name: string;
  readonly channelsIn: number;
  readonly channelsOut: number;
  /** Halves width and height. Its two branches round differently: `zeros` rows and columns make up for it. */
  readonly down?: { readonly zeros: 0 | 1 };
}

// Sides: 150 -> 72 (first convolution) -> 35 (pool) -> 17 -> 8 -> convolution 3, pool 4 -> convolution 1, pool 2.
const blocks: readonly Block[] = [
  { name: 'conv32_1', channelsIn: 32, channelsOut: 32 },
  { name: 'conv32_2', channelsIn: 32, channelsOut: 32 },
  { name: 'conv32_3', channelsIn: 32, channelsOut: 32 },
  { name: 'conv64_down', channelsIn: 32, channelsOut: 64, down: { zeros: 0 } },
  { name: 'conv64_1', channelsIn: 64, channelsOut: 64 },
  { name: 'conv64_2', channelsIn: 64, channelsOut: 64 },
  { name: 'conv64_3', channelsIn: 64, channelsOut: 64 },
  { name: 'conv128_down', channelsIn: 64, channelsOut: 128, down: { zeros: 0 } },
  { name: 'conv128_1', channelsIn: 128, channelsOut: 128 },
  { name: 'conv128_2', channelsIn: 128, channelsOut: 128 },
  { name: 'conv256_down', channelsIn: 128, channelsOut: 256, down: { zeros: 1 } },
  { name: 'conv256_1', channelsIn: 256, channelsOut: 256 },
  { name: 'conv256_2', channelsIn: 256, channelsOut: 256 },
  { name: 'conv256_down_out', channelsIn: 256, channelsOut: 256, down: { zeros: 1 } },
];

/** Convolution followed by dlib's affine layer, as one kernel. */
function affineKernel(
  weights: TfjsWeights,
  name: string,
  size: number,
  channelsIn: number,
  channelsOut: number,
): Kernel {
  const kernel = denseKernel(
    weights.weight(`${name}/conv/filters`, [size, size, channelsIn, channelsOut]),
    weights.weight(`${name}/conv/bias`, [channelsOut]),
  );
  const scale = weights.weight(`${name}/scale/weights`, [channelsOut]);
  const shift = weights.weight(`${name}/scale/biases`, [channelsOut]);
  return scaleOutputs(kernel, scale.values, shift.values);
}

function residual(graph: OnnxWriter, weights: TfjsWeights, input: string, block: Block): string {
  const { name, channelsIn, channelsOut, down } = block;
  const first = affineKernel(weights, `${name}/conv1`, 3, channelsIn, channelsOut);
  const second = affineKernel(weights, `${name}/conv2`, 3, channelsOut, channelsOut);
  const inner = relu(graph, convolution(graph, input, first, down ? 2 : 1, down ? unpadded : samePadding(1)));
  let branch = convolution(graph, inner, second, 1, samePadding(1));
  let shortcut = input;
  if (down) {
    shortcut = averagePool(graph, input, 2, 2);
    if (channelsOut > channelsIn) shortcut = appendZeros(graph, shortcut, [channelsOut - channelsIn, 0, 0]);
    if (down.zeros > 0) branch = appendZeros(graph, branch, [0, down.zeros, down.zeros]);
  }
  return relu(graph, add(graph, branch, shortcut));
}

/** The bytes of the ONNX file. */
export function recognitionNetwork(weights: TfjsWeights): Uint8Array {
  const graph = new OnnxWriter('dlib-resnet');
  const pixels = scaleInputs(affineKernel(weights, 'conv32_down', 7, 3, 32), 1 / pixelRange);
  let value = relu(graph, convolution(graph, 'image', subtractFromInputs(pixels, meanRgb), 2, unpadded));
  value = maxPool(graph, value, 3, 2, unpadded);
  for (const block of blocks) value = residual(graph, weights, value, block);
  value = graph.node('GlobalAveragePool', [value]);
  const matrix = matrixKernel(weights.weight('fc', [256, recognitionDimensions]));
  value = convolution(graph, value, matrix, 1, unpadded);
  graph.rename(graph.node('Flatten', [value], { axis: 1 }), 'descriptor');
  return graph.finish(
    [{ name: 'image', dims: ['batch', 3, recognitionSize, recognitionSize] }],
    [{ name: 'descriptor', dims: ['batch', recognitionDimensions] }],
  );
}
