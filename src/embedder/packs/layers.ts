/**
 * Layers of TensorFlow networks as ONNX nodes.
 *
 * Padding is explicit: TensorFlow's "same" puts the odd pixel at the end (bottom and right) when it strides over an even
 * size, so a stride of 2 with a 3x3 kernel pads [0, 0, 1, 1], where a stride of 1 pads [1, 1, 1, 1].
 */
import type { Kernel } from './kernel.js';
import type { OnnxWriter } from './onnx-writer.js';

/** Rows above, columns to the left, rows below, columns to the right: ONNX's order. */
export type Padding = readonly [number, number, number, number];

export const unpadded: Padding = [0, 0, 0, 0];

/** TensorFlow's "same" for a 3x3 kernel; with stride 2, on an even size. */
export function samePadding(stride: 1 | 2): Padding {
  return stride === 1 ? [1, 1, 1, 1] : [0, 0, 1, 1];
}

export function convolution(graph: OnnxWriter, input: string, kernel: Kernel, stride: 1 | 2, pads: Padding): string {
  const weights = graph.weights(Float32Array.from(kernel.weights), kernel.dims);
  const bias = graph.weights(Float32Array.from(kernel.bias), [kernel.bias.length]);
  return graph.node('Conv', [input, weights, bias], {
    group: kernel.groups,
    kernel_shape: [kernel.dims[2], kernel.dims[3]],
    pads,
    strides: [stride, stride],
  });
}

export function relu(graph: OnnxWriter, input: string): string {
  return graph.node('Relu', [input]);
}

/** min(max(x, 0), 6) */
export function relu6(graph: OnnxWriter, input: string): string {
  return graph.node('Clip', [input, graph.constant([0], []), graph.constant([6], [])]);
}

export function add(graph: OnnxWriter, a: string, b: string): string {
  return graph.node('Add', [a, b]);
}

export function maxPool(graph: OnnxWriter, input: string, size: number, stride: number, pads: Padding): string {
  return graph.node('MaxPool', [input], { kernel_shape: [size, size], pads, strides: [stride, stride] });
}

/** Whole windows only. */
export function averagePool(graph: OnnxWriter, input: string, size: number, stride: number): string {
  return graph.node('AveragePool', [input], { kernel_shape: [size, size], strides: [stride, stride] });
}

/** input - mean, a mean a colour plane. */
export function subtractMean(graph: OnnxWriter, input: string, mean: readonly number[]): string {
  return graph.node('Sub', [input, graph.constant(mean, [1, 3, 1, 1])]);
}

/** Appends zeros at the end of the channels, rows and columns. */
export function appendZeros(graph: OnnxWriter, input: string, counts: readonly [number, number, number]): string {
  return graph.node('Pad', [input, graph.integers([0, 0, 0, 0, 0, ...counts])]);
}
