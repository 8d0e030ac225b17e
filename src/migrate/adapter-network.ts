/**
 * An adapter as an ONNX graph: input `from` float32 [N, dimensions from], output `to` float32 [N, dimensions to], unit rows, N free.
 *
 * The same graphs serve the fit (`mapNetwork`, `geluNetwork`), so that what is selected is what will run.
 */
import { assertInvariant } from '../errors.js';
import { OnnxWriter } from '../embedder/packs/onnx-writer.js';
import type { AdapterMap, AdapterModel } from './adapter-model.js';
import type { Matrix } from './matrix.js';

export const adapterInput = 'from';
export const adapterOutput = 'to';

/** The bytes of the ONNX file of an adapter. */
export function adapterNetwork(model: AdapterModel): Uint8Array {
  const graph = new OnnxWriter('adapter');
  const directions = model.members.map(({ map, weight }) => {
    const direction = unitOf(graph, subtract(graph, mapNode(graph, adapterInput, map), model.centre));
    return graph.node('Mul', [direction, graph.constant([weight], [])]);
  });
  const sum = directions.reduce((total, direction) => graph.node('Add', [total, direction]));
  const direction = unitOf(graph, model.turn ? product(graph, sum, model.turn) : sum);
  const away = graph.node('Mul', [direction, graph.constant([model.radius], [])]);
  const rows = graph.node('Add', [away, graph.weights(model.mean, [1, model.mean.length])]);
  graph.rename(unitOf(graph, rows), adapterOutput);
  const [first] = model.members;
  assertInvariant(first, 'an adapter has a member');
  return finish(graph, dimensionsOf(first.map));
}

/** The products that a `QuadraticMap` weighs, of its z. */
export function rowProductsNetwork(width: number): Uint8Array {
  const graph = new OnnxWriter('products');
  graph.rename(rowProducts(graph, adapterInput, width), adapterOutput);
  return finish(graph, [width, (Math.floor(width / 2) + 1) * width]);
}

/** z -> gelu(z) as `value` and its derivative as `slope` (Hendrycks & Gimpel, 2016), element by element, shape [N, m]. */
export function geluNetwork(): Uint8Array {
  const graph = new OnnxWriter('gelu');
  const share = normalShare(graph, 'z');
  graph.rename(graph.node('Mul', ['z', share]), 'value');
  // The density of the standard normal distribution: the derivative of the share.
  const square = graph.node('Mul', [graph.node('Mul', ['z', 'z']), graph.constant([-0.5], [])]);
  const density = graph.node('Mul', [graph.node('Exp', [square]), graph.constant([1 / Math.sqrt(2 * Math.PI)], [])]);
  graph.rename(graph.node('Add', [share, graph.node('Mul', ['z', density])]), 'slope');
  const dims = ['rows', 'columns'];
  return graph.finish(
    [{ name: 'z', dims }],
    [
      { name: 'value', dims },
      { name: 'slope', dims },
    ],
  );
}

function finish(graph: OnnxWriter, [from, to]: readonly [number, number]): Uint8Array {
  return graph.finish([{ name: adapterInput, dims: ['rows', from] }], [{ name: adapterOutput, dims: ['rows', to] }]);
}

export function dimensionsOf(map: AdapterMap): readonly [from: number, to: number] {
  switch (map.kind) {
    case 'linear':
      return [map.weights.rows, map.weights.columns];
    case 'quadratic':
      return [map.centre.length, map.weights.columns];
    case 'residual':
      return [map.direct.rows, map.direct.columns];
  }
}

function mapNode(graph: OnnxWriter, input: string, map: AdapterMap): string {
  switch (map.kind) {
    case 'linear':
      return affine(graph, input, map.weights, map.bias);
    case 'quadratic': {
      const centred = subtract(graph, input, map.centre);
      const z = map.axes ? product(graph, centred, map.axes) : centred;
      const products = rowProducts(graph, z, map.axes?.columns ?? map.centre.length);
      return graph.node('Add', [mapNode(graph, input, map.base), product(graph, products, map.weights)]);
    }
    case 'residual': {
      const z = graph.node('Mul', [subtract(graph, input, map.centre), graph.constant([map.scale], [])]);
      const hidden = affine(graph, z, map.inner, map.innerBias);
      const active = graph.node('Mul', [hidden, normalShare(graph, hidden)]);
      const change = graph.node('Add', [product(graph, active, map.outer), product(graph, z, map.direct)]);
      return graph.node('Add', [mapNode(graph, input, map.base), change]);
    }
  }
}

/** [rows, width] to [rows, (floor(width / 2) + 1) · width]: every row times itself, moved by 0, 1, ... floor(width / 2) places, round. */
function rowProducts(graph: OnnxWriter, rows: string, width: number): string {
  const twice = graph.node('Concat', [rows, rows], { axis: 1 });
  const places = Math.floor(width / 2) + 1;
  const moved = Array.from({ length: places }, (_, by) =>
    graph.node('Slice', [twice, graph.integers([by]), graph.integers([by + width]), graph.integers([1])]),
  );
  const shape = (...dims: number[]): string => graph.integers([-1, ...dims]);
  const factors = graph.node('Reshape', [graph.node('Concat', moved, { axis: 1 }), shape(places, width)]);
  const products = graph.node('Mul', [factors, graph.node('Reshape', [rows, shape(1, width)])]);
  return graph.node('Reshape', [products, shape(places * width)]);
}

/** The share of the standard normal distribution below z: (1 + erf(z / sqrt 2)) / 2. */
function normalShare(graph: OnnxWriter, z: string): string {
  const half = graph.constant([0.5], []);
  const erf = graph.node('Erf', [graph.node('Mul', [z, graph.constant([Math.SQRT1_2], [])])]);
  return graph.node('Add', [graph.node('Mul', [erf, half]), half]);
}

function affine(graph: OnnxWriter, input: string, weights: Matrix, bias: Float32Array): string {
  return graph.node('Gemm', [
    input,
    graph.weights(weights.data, [weights.rows, weights.columns]),
    graph.weights(bias, [bias.length]),
  ]);
}

function product(graph: OnnxWriter, input: string, weights: Matrix): string {
  return graph.node('MatMul', [input, graph.weights(weights.data, [weights.rows, weights.columns])]);
}

function subtract(graph: OnnxWriter, input: string, offset: Float32Array): string {
  return graph.node('Sub', [input, graph.weights(offset, [1, offset.length])]);
}

function unitOf(graph: OnnxWriter, rows: string): string {
  return graph.node('Div', [rows, graph.node('ReduceL2', [rows], { axes: [1], keepdims: 1 })]);
}
