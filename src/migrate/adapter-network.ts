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
  const direction = unitOf(graph, model.meanPart === 'own' ? sum : across(graph, sum, model.centre));
  const away = graph.node('Mul', [direction, graph.constant([model.radius], [])]);
  const rows =
    model.meanPart === 'none' ? away : graph.node('Add', [away, graph.weights(model.centre, [1, model.centre.length])]);
  graph.rename(unitOf(graph, rows), adapterOutput);
  const [first] = model.members;
  assertInvariant(first, 'an adapter has a member');
  return finish(graph, dimensionsOf(first.map));
}

/** One map, its rows not scaled to norm 1. */
export function mapNetwork(map: AdapterMap): Uint8Array {
  const graph = new OnnxWriter('map');
  graph.rename(mapNode(graph, adapterInput, map), adapterOutput);
  return finish(graph, dimensionsOf(map));
}

/** The features of a `FeatureMap` alone. */
export function featureNetwork(centre: Float32Array, frequencies: Matrix): Uint8Array {
  const graph = new OnnxWriter('features');
  graph.rename(featuresNode(graph, adapterInput, centre, frequencies), adapterOutput);
  return finish(graph, [frequencies.rows, 2 * frequencies.columns]);
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
    case 'features':
      return [map.frequencies.rows, map.weights.columns];
    case 'residual':
      return [map.direct.rows, map.direct.columns];
  }
}

function mapNode(graph: OnnxWriter, input: string, map: AdapterMap): string {
  switch (map.kind) {
    case 'linear':
      return affine(graph, input, map.weights, map.bias);
    case 'features':
      return graph.node('Add', [
        mapNode(graph, input, map.base),
        product(graph, featuresNode(graph, input, map.centre, map.frequencies), map.weights),
      ]);
    case 'residual': {
      const z = graph.node('Mul', [subtract(graph, input, map.centre), graph.constant([map.scale], [])]);
      const hidden = affine(graph, z, map.inner, map.innerBias);
      const active = graph.node('Mul', [hidden, normalShare(graph, hidden)]);
      const change = graph.node('Add', [product(graph, active, map.outer), product(graph, z, map.direct)]);
      return graph.node('Add', [mapNode(graph, input, map.base), change]);
    }
  }
}

function featuresNode(graph: OnnxWriter, input: string, centre: Float32Array, frequencies: Matrix): string {
  const phases = product(graph, subtract(graph, input, centre), frequencies);
  return graph.node('Concat', [graph.node('Cos', [phases]), graph.node('Sin', [phases])], { axis: 1 });
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

/** Rows without what they have along an axis. */
function across(graph: OnnxWriter, rows: string, axis: Float32Array): string {
  const norm = Math.hypot(...axis);
  if (norm === 0) return rows;
  const unit = axis.map((value) => value / norm);
  const along = graph.node('MatMul', [rows, graph.weights(unit, [unit.length, 1])]);
  return graph.node('Sub', [rows, graph.node('MatMul', [along, graph.weights(unit, [1, unit.length])])]);
}

function unitOf(graph: OnnxWriter, rows: string): string {
  return graph.node('Div', [rows, graph.node('ReduceL2', [rows], { axes: [1], keepdims: 1 })]);
}
