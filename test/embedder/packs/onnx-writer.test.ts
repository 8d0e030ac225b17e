/** The writer's bytes against an ONNX file assembled by hand from the field numbers and wire types of onnx.proto3. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { OnnxWriter } from '../../../src/embedder/packs/onnx-writer.js';

/** A length-delimited field (wire type 2) below 128 bytes. */
function field(number: number, ...content: (readonly number[] | string)[]): number[] {
  const bytes = content.flatMap((part) => (typeof part === 'string' ? [...Buffer.from(part)] : [...part]));
  assert.ok(bytes.length < 128 && number < 16);
  return [(number << 3) | 2, bytes.length, ...bytes];
}

/** A varint field (wire type 0) below 128. */
function varint(number: number, value: number): number[] {
  return number < 16 ? [number << 3, value] : [((number << 3) & 0x7f) | 0x80, number >> 4, value];
}

describe('OnnxWriter', () => {
  it('writes nodes, attributes, weights and shapes as onnx.proto3 has them', () => {
    const graph = new OnnxWriter('g');
    const weights = graph.weights(Float32Array.of(1.5), [1]);
    const shape = graph.integers([2]);
    assert.equal(graph.integers([2]), shape);
    const value = graph.node('Op', ['x', weights, shape], { i: 3, f: { float: -2 }, n: [1, 2] });
    graph.rename(value, 'y');
    const actual = graph.finish([{ name: 'x', dims: ['n', 3] }], [{ name: 'y', dims: [] }]);

    const attributes = [
      ...field(5, field(1, 'i'), varint(3, 3), varint(20, 2)),
      ...field(5, field(1, 'f'), [(2 << 3) | 5, 0, 0, 0, 0xc0], varint(20, 1)),
      ...field(5, field(1, 'n'), varint(8, 1), varint(8, 2), varint(20, 7)),
    ];
    const node = field(
      1,
      field(1, 'x'),
      field(1, 'v0'),
      field(1, 'v1'),
      field(2, 'v2'),
      field(3, 'Op_0'),
      field(4, 'Op'),
      attributes,
    );
    const rename = field(1, field(1, 'v2'), field(2, 'y'), field(3, 'Identity_1'), field(4, 'Identity'));
    const floats = field(5, varint(1, 1), varint(2, 1), field(8, 'v0'), field(9, [0, 0, 0xc0, 0x3f]));
    const integers = field(5, varint(1, 1), varint(2, 7), field(8, 'v1'), field(9, [2, 0, 0, 0, 0, 0, 0, 0]));
    const tensor = (dims: number[]): number[] => field(2, field(1, varint(1, 1), field(2, dims)));
    const input = field(11, field(1, 'x'), tensor([...field(1, field(2, 'n')), ...field(1, varint(1, 3))]));
    const output = field(12, field(1, 'y'), tensor([]));
    const body = [...node, ...rename, ...field(2, 'g'), ...floats, ...integers, ...input, ...output];
    // The graph is longer than 127 bytes: a length of two bytes.
    const length = [(body.length & 0x7f) | 0x80, body.length >> 7];
    const expected = [
      ...varint(1, 8),
      ...field(2, 'harmonid'),
      (7 << 3) | 2,
      ...length,
      ...body,
      ...field(8, varint(2, 17)),
    ];
    assert.equal(Buffer.from(actual).toString('hex'), Buffer.from(expected).toString('hex'));
  });
});
