/**
 * A small writer of ONNX files: nodes and weights in, bytes out.
 *
 * Encodes ModelProto of the ONNX specification (IR version 8, opset 17) field by field; the numbers beside the fields are
 * those of onnx.proto3. The same calls give the same bytes: no clock, no randomness, no map whose order could change.
 * It knows no network and checks no types: that is what ONNX Runtime does when it loads the file.
 */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

const irVersion = 8;
const opsetVersion = 17;

/** TensorProto.DataType */
const dataTypes = { float32: 1, int64: 7 } as const;
/** AttributeProto.AttributeType */
const attributeTypes = { float: 1, int: 2, ints: 7 } as const;

/** A whole number is written as INT, an array as INTS, `{ float }` as FLOAT. */
export type Attribute = number | readonly number[] | { readonly float: number };

/** A number is a fixed dimension, a string names a free one. */
export type Dimension = number | string;

export interface GraphValue {
  readonly name: string;
  readonly dims: readonly Dimension[];
}

/** Collects one graph. Values are named by strings; a node must be added after those it takes values from. */
export class OnnxWriter {
  readonly #name: string;
  readonly #nodes: Uint8Array[] = [];
  readonly #initializers: Uint8Array[] = [];
  readonly #constants = new Map<string, string>();
  #count = 0;

  constructor(name: string) {
    this.#name = name;
  }

  /** Adds float32 weights and returns their name. */
  weights(values: Float32Array, dims: readonly number[]): string {
    const raw = new Uint8Array(values.length * 4);
    const view = new DataView(raw.buffer);
    values.forEach((value, position) => view.setFloat32(position * 4, value, true));
    return this.#initializer(dataTypes.float32, dims, raw);
  }

  /** A small float32 constant; equal ones are stored once. */
  constant(values: readonly number[], dims: readonly number[]): string {
    return this.#once(`f ${values.join()} ${dims.join()}`, () => this.weights(Float32Array.from(values), dims));
  }

  /** A small int64 constant, one-dimensional unless it is a scalar: shapes, pads, axes. Equal ones are stored once. */
  integers(values: readonly number[] | number): string {
    const list = typeof values === 'number' ? [values] : values;
    const dims = typeof values === 'number' ? [] : [list.length];
    return this.#once(`i ${list.join()} ${dims.join()}`, () => {
      const raw = new Uint8Array(list.length * 8);
      const view = new DataView(raw.buffer);
      list.forEach((value, position) => view.setBigInt64(position * 8, BigInt(value), true));
      return this.#initializer(dataTypes.int64, dims, raw);
    });
  }

  /** Adds a node with one output and returns the output's name. */
  node(operator: string, inputs: readonly string[], attributes: Readonly<Record<string, Attribute>> = {}): string {
    const [output] = this.#add(operator, inputs, attributes, [this.#newName()]);
    return output as string;
  }

  /** Adds a node with several outputs and returns their names. */
  nodeOf(
    operator: string,
    inputs: readonly string[],
    outputCount: number,
    attributes: Readonly<Record<string, Attribute>> = {},
  ): readonly string[] {
    return this.#add(
      operator,
      inputs,
      attributes,
      Array.from({ length: outputCount }, () => this.#newName()),
    );
  }

  /** Names `value` as an output of the graph. */
  rename(value: string, output: string): void {
    this.#add('Identity', [value], {}, [output]);
  }

  /** The finished file. */
  finish(inputs: readonly GraphValue[], outputs: readonly GraphValue[]): Uint8Array {
    const graph = new BinaryWriter();
    for (const node of this.#nodes) graph.tag(1, WireType.LengthDelimited).bytes(node); // GraphProto.node
    graph.tag(2, WireType.LengthDelimited).string(this.#name); // .name
    for (const tensor of this.#initializers) graph.tag(5, WireType.LengthDelimited).bytes(tensor); // .initializer
    for (const input of inputs) graph.tag(11, WireType.LengthDelimited).bytes(valueInfo(input)); // .input
    for (const output of outputs) graph.tag(12, WireType.LengthDelimited).bytes(valueInfo(output)); // .output
    const opset = new BinaryWriter().tag(2, WireType.Varint).int64(opsetVersion); // OperatorSetIdProto.version
    return new BinaryWriter()
      .tag(1, WireType.Varint)
      .int64(irVersion) // ModelProto.ir_version
      .tag(2, WireType.LengthDelimited)
      .string('harmonid') // .producer_name
      .tag(7, WireType.LengthDelimited)
      .bytes(graph.finish()) // .graph
      .tag(8, WireType.LengthDelimited)
      .bytes(opset.finish()) // .opset_import
      .finish();
  }

  #newName(): string {
    return `v${this.#count++}`;
  }

  #once(key: string, make: () => string): string {
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const name = make();
    this.#constants.set(key, name);
    return name;
  }

  #initializer(dataType: number, dims: readonly number[], raw: Uint8Array): string {
    const name = this.#newName();
    const tensor = new BinaryWriter();
    for (const dim of dims) tensor.tag(1, WireType.Varint).int64(dim); // TensorProto.dims
    tensor.tag(2, WireType.Varint).int32(dataType); // .data_type
    tensor.tag(8, WireType.LengthDelimited).string(name); // .name
    tensor.tag(9, WireType.LengthDelimited).bytes(raw); // .raw_data, little-endian
    this.#initializers.push(tensor.finish());
    return name;
  }

  #add(
    operator: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>>,
    outputs: readonly string[],
  ): readonly string[] {
    const node = new BinaryWriter();
    for (const input of inputs) node.tag(1, WireType.LengthDelimited).string(input); // NodeProto.input
    for (const output of outputs) node.tag(2, WireType.LengthDelimited).string(output); // .output
    node.tag(3, WireType.LengthDelimited).string(`${operator}_${this.#nodes.length}`); // .name
    node.tag(4, WireType.LengthDelimited).string(operator); // .op_type
    for (const [name, value] of Object.entries(attributes)) {
      node.tag(5, WireType.LengthDelimited).bytes(attribute(name, value)); // .attribute
    }
    this.#nodes.push(node.finish());
    return outputs;
  }
}

function attribute(name: string, value: Attribute): Uint8Array {
  const writer = new BinaryWriter().tag(1, WireType.LengthDelimited).string(name); // AttributeProto.name
  if (typeof value === 'number') {
    writer.tag(3, WireType.Varint).int64(value); // .i
    writer.tag(20, WireType.Varint).int32(attributeTypes.int); // .type
  } else if ('float' in value) {
    writer.tag(2, WireType.Bit32).float(value.float); // .f
    writer.tag(20, WireType.Varint).int32(attributeTypes.float);
  } else {
    for (const item of value) writer.tag(8, WireType.Varint).int64(item); // .ints
    writer.tag(20, WireType.Varint).int32(attributeTypes.ints);
  }
  return writer.finish();
}

/** ValueInfoProto of a float32 tensor. */
function valueInfo(value: GraphValue): Uint8Array {
  const shape = new BinaryWriter();
  for (const dim of value.dims) {
    shape.tag(1, WireType.LengthDelimited).fork(); // TensorShapeProto.dim
    if (typeof dim === 'number')
      shape.tag(1, WireType.Varint).int64(dim); // Dimension.dim_value
    else shape.tag(2, WireType.LengthDelimited).string(dim); // Dimension.dim_param
    shape.join();
  }
  return new BinaryWriter()
    .tag(1, WireType.LengthDelimited)
    .string(value.name) // ValueInfoProto.name
    .tag(2, WireType.LengthDelimited)
    .fork() // .type
    .tag(1, WireType.LengthDelimited)
    .fork() // TypeProto.tensor_type
    .tag(1, WireType.Varint)
    .int32(dataTypes.float32) // TypeProto.Tensor.elem_type
    .tag(2, WireType.LengthDelimited)
    .bytes(shape.finish()) // TypeProto.Tensor.shape
    .join()
    .join()
    .finish();
}
