/**
 * face-api's tiny face detector (tiny YOLO v2 with depthwise separable convolutions) as an ONNX graph, boxes decoded inside.
 *
 * Input `image`: float32 [N, 3, height, width], RGB 0 to 255, both sides multiples of 32. Outputs, with an anchor in each of the
 * height/32 x width/32 cells and five anchors: `boxes` [N, candidates, 4], left, top, right, bottom as fractions of the input,
 * not clipped; `scores` [N, candidates] in [0, 1]. Pixel normalisation is folded into the first convolution, which is not
 * padded. Source of the wiring: face-api's tinyYolov2 and tinyFaceDetector; box coder of Redmon and Farhadi, YOLO9000, CVPR 2017.
 */
import {
  denseKernel,
  depthwiseKernel,
  scaleInputs,
  scaleOutputs,
  selectOutputs,
  subtractFromInputs,
  type Kernel,
} from './kernel.js';
import { add, convolution, maxPool, samePadding, unpadded, type Padding } from './layers.js';
import { OnnxWriter } from './onnx-writer.js';
import type { TfjsWeights } from './tfjs-weights.js';

export const tinySize = 416;
export const tinySizeMultiple = 32;

const meanRgb = [117.001, 114.697, 97.404];
const pixelRange = 255;
const leakySlope = 0.1;

/** Width and height of the anchors, in cells. */
const anchorCells = [
  [1.603231, 2.094468],
  [6.041143, 7.080126],
  [2.882459, 3.518061],
  [4.266906, 5.178857],
  [9.041765, 10.66308],
] as const;
/** x, y, width, height, score */
const anchorValues = 5;

/** Channels after the first convolution and after the five separable ones. */
const channelsAfter = [16, 32, 64, 128, 256, 512];

function leaky(graph: OnnxWriter, input: string): string {
  return graph.node('LeakyRelu', [input], { alpha: { float: leakySlope } });
}

/** The bytes of the ONNX file. */
export function tinyNetwork(weights: TfjsWeights): Uint8Array {
  const graph = new OnnxWriter('tiny-yolo-v2');
  const pixels = scaleInputs(
    denseKernel(weights.weight('conv0/filters', [3, 3, 3, 16]), weights.weight('conv0/bias', [16])),
    1 / pixelRange,
  );
  let value = leaky(graph, convolution(graph, 'image', subtractFromInputs(pixels, meanRgb), 1, unpadded));
  for (let layer = 1; layer < channelsAfter.length; layer++) {
    const [channelsIn = 0, channelsOut = 0] = channelsAfter.slice(layer - 1);
    value = maxPool(graph, value, 2, 2, poolPadding(layer));
    const depthwise = depthwiseKernel(weights.weight(`conv${layer}/depthwise_filter`, [3, 3, channelsIn, 1]));
    const pointwise = denseKernel(
      weights.weight(`conv${layer}/pointwise_filter`, [1, 1, channelsIn, channelsOut]),
      weights.weight(`conv${layer}/bias`, [channelsOut]),
    );
    const planes = convolution(graph, value, depthwise, 1, samePadding(1));
    value = leaky(graph, convolution(graph, planes, pointwise, 1, unpadded));
  }
  value = maxPool(graph, value, 2, 1, [0, 0, 1, 1]);
  value = convolution(graph, value, outputKernel(weights), 1, unpadded);

  const anchorCount = anchorCells.length;
  const parts = graph.nodeOf('Split', [value, graph.integers(Array(anchorValues).fill(anchorCount))], anchorValues, {
    axis: 1,
  }) as [string, string, string, string, string];
  const [x, y, logHalfWidth, logHalfHeight, logit] = parts;
  const shape = graph.node('Shape', [value]);
  const columns = axisEdges(graph, shape, 3, x, logHalfWidth);
  const rows = axisEdges(graph, shape, 2, y, logHalfHeight);
  // Each [N, anchors, rows, columns]; a last axis for the four edges, then all candidates in one axis.
  const edges = [columns.start, rows.start, columns.end, rows.end].map((edge) =>
    graph.node('Unsqueeze', [edge, graph.integers([4])]),
  );
  const stacked = graph.node('Concat', edges, { axis: 4 });
  graph.rename(graph.node('Reshape', [stacked, graph.integers([0, -1, 4])]), 'boxes');
  const scores = graph.node('Reshape', [graph.node('Sigmoid', [logit]), graph.integers([0, -1])]);
  graph.rename(scores, 'scores');
  return graph.finish(
    [{ name: 'image', dims: ['batch', 3, 'height', 'width'] }],
    [
      { name: 'boxes', dims: ['batch', 'candidates', 4] },
      { name: 'scores', dims: ['batch', 'candidates'] },
    ],
  );
}

/**
 * The last 1x1 convolution, its outputs grouped by value instead of by anchor, with the logarithm of half the anchor's
 * size in the bias: exp(code) * anchor / 2 = exp(code + log(anchor / 2)).
 */
function outputKernel(weights: TfjsWeights): Kernel {
  const outputs = anchorCells.length * anchorValues;
  const kernel = denseKernel(
    weights.weight('conv8/filters', [1, 1, 512, outputs]),
    weights.weight('conv8/bias', [outputs]),
  );
  const byAnchor = Array.from({ length: outputs }, (_, index) => index);
  const grouped = Array.from({ length: anchorValues }, (_, part) =>
    byAnchor.filter((index) => index % anchorValues === part),
  ).flat();
  const logHalves = [
    ...anchorCells.flatMap(() => [0, 0]),
    ...anchorCells.map(([width]) => Math.log(width / 2)),
    ...anchorCells.map(([, height]) => Math.log(height / 2)),
    ...anchorCells.map(() => 0),
  ];
  return scaleOutputs(selectOutputs(kernel, grouped), Array<number>(outputs).fill(1), logHalves);
}

/** Start and end of the boxes along one axis: (cell + sigmoid(offset) -+ exp(logHalf)) / cells. */
function axisEdges(
  graph: OnnxWriter,
  shape: string,
  axis: 2 | 3,
  offset: string,
  logHalf: string,
): { start: string; end: string } {
  const cells = graph.node('Gather', [shape, graph.integers(axis)]);
  const range = graph.node('Range', [graph.integers(0), cells, graph.integers(1)]);
  const float = 1; // TensorProto.DataType.FLOAT
  let positions = graph.node('Cast', [range], { to: float });
  // [columns] broadcasts over rows as it is, [rows, 1] over columns.
  if (axis === 2) positions = graph.node('Unsqueeze', [positions, graph.integers([1])]);
  const count = graph.node('Cast', [cells], { to: float });
  const centre = add(graph, graph.node('Sigmoid', [offset]), positions);
  const half = graph.node('Exp', [logHalf]);
  return {
    start: graph.node('Div', [graph.node('Sub', [centre, half]), count]),
    end: graph.node('Div', [add(graph, centre, half), count]),
  };
}

/**
 * TensorFlow's "same" for 2x2 pools with stride 2. With sides that are multiples of 32 the unpadded first convolution leaves an
 * even side (32 k - 2), whose half is odd and needs a row and a column at the end; all later ones are even.
 */
function poolPadding(layer: number): Padding {
  return layer === 2 ? [0, 0, 1, 1] : unpadded;
}
