/**
 * Every method of the served contract, and valid requests for it, made from the generated definitions and descriptors.
 *
 * Promises: a new method, and a new field, is attacked without a line here. A request is valid protobuf, mostly sensible, and never
 * names the gallery of those who must not be harmed, unless its method only reads.
 */
import {
  create,
  createFileRegistry,
  fromBinary,
  ScalarType,
  type DescField,
  type DescMessage,
} from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { HarmonidError } from '../../src/errors.js';
import { fileDescriptors } from '../../src/wire/descriptor.js';
import { AdminServiceService } from '../../src/wire/harmonid/v1/admin.js';
import { IdentityServiceService } from '../../src/wire/harmonid/v1/identity.js';
import { normal, pick, type Random } from '../index/faces.js';

export interface Method {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly request: DescMessage;
}

const registry = createFileRegistry(
  create(FileDescriptorSetSchema, {
    file: fileDescriptors.map((base64) => fromBinary(FileDescriptorProtoSchema, Buffer.from(base64, 'base64'))),
  }),
);

export const methods: readonly Method[] = [IdentityServiceService, AdminServiceService].flatMap((definition) =>
  Object.values(definition).map(({ path, requestStream, responseStream }) => ({
    path,
    requestStream,
    responseStream,
    request: requestOf(path),
  })),
);

function requestOf(path: string): DescMessage {
  const [, service = '', name] = path.split('/');
  const method = registry.getService(service)?.methods.find((candidate) => candidate.name === name);
  if (!method) throw new HarmonidError('INTERNAL', `no descriptor of ${path}`);
  return method.input;
}

export function methodNamed(name: string): Method {
  const found = methods.find(({ path }) => path.endsWith(`/${name}`));
  if (!found) throw new HarmonidError('INTERNAL', `no method ${name}`);
  return found;
}

/** Those that may be told of any gallery: what is not listed here might write. */
const readers = /\/(Identify|IdentifyStream|Verify|GetIdentity|ListIdentities|GetGallery|ExportTemplates|GetRollout)$/;

/** What requests are filled with. */
export interface Fillings {
  /** Of those who must still be found; named only to methods that read. */
  readonly keptGallery: string;
  /** Everybody's to spoil. */
  readonly galleries: readonly string[];
  readonly space: string;
  readonly dimensions: number;
  readonly photos: readonly Uint8Array[];
}

/** Deeper than any request of the contract is useful; the contract has no message that holds itself. */
const depthMax = 8;

/** A request for `method`, as bytes. */
export function makeRequest(random: Random, { path, request }: Method, fillings: Fillings): Uint8Array {
  const galleries = readers.test(path) ? [...fillings.galleries, fillings.keptGallery] : fillings.galleries;
  return new MessageMaker(random, { ...fillings, galleries }).make(request, 0);
}

class MessageMaker {
  readonly #random: Random;
  readonly #fillings: Fillings;

  constructor(random: Random, fillings: Fillings) {
    this.#random = random;
    this.#fillings = fillings;
  }

  make(message: DescMessage, depth: number): Uint8Array {
    const writer = new BinaryWriter();
    if (depth > depthMax) return writer.finish();
    for (const member of message.members) {
      // Mostly there, so that most requests get far.
      const isWanted = member.kind === 'oneof' ? this.#random() < 0.9 : isUsual(member) || this.#random() < 0.4;
      const field = member.kind === 'oneof' ? pick(this.#random, member.fields) : member;
      if (isWanted && field) this.#write(writer, field, depth);
    }
    return writer.finish();
  }

  #write(writer: BinaryWriter, field: DescField, depth: number): void {
    switch (field.fieldKind) {
      case 'message':
        writer.tag(field.number, WireType.LengthDelimited).bytes(this.make(field.message, depth + 1));
        return;
      case 'enum':
        writer.tag(field.number, WireType.Varint).int32(pick(this.#random, field.enum.values)?.number ?? 0);
        return;
      case 'scalar':
        this.#scalar(writer, field.number, field.scalar, field.name);
        return;
      case 'map':
        writer.tag(field.number, WireType.LengthDelimited).fork();
        this.#scalar(writer, 1, field.mapKey, 'key');
        if (field.mapKind === 'scalar') this.#scalar(writer, 2, field.scalar, 'value');
        writer.join();
        return;
      case 'list':
        this.#list(writer, field, depth);
    }
  }

  #list(writer: BinaryWriter, field: DescField & { fieldKind: 'list' }, depth: number): void {
    if (field.name === 'vector') {
      writer.tag(field.number, WireType.LengthDelimited).fork();
      for (let i = 0; i < this.#fillings.dimensions; i++) writer.float(normal(this.#random));
      writer.join();
      return;
    }
    for (let count = 1 + Math.floor(3 * this.#random() ** 2); count > 0; count--) {
      if (field.listKind === 'scalar') this.#scalar(writer, field.number, field.scalar, field.name);
      else if (field.listKind === 'message')
        writer.tag(field.number, WireType.LengthDelimited).bytes(this.make(field.message, depth + 1));
      else writer.tag(field.number, WireType.Varint).int32(pick(this.#random, field.enum.values)?.number ?? 0);
    }
  }

  #scalar(writer: BinaryWriter, number: number, type: ScalarType, name: string): void {
    const small = Math.floor(20 * this.#random());
    switch (type) {
      case ScalarType.STRING:
        writer.tag(number, WireType.LengthDelimited).string(this.#text(name));
        return;
      case ScalarType.BYTES:
        writer
          .tag(number, WireType.LengthDelimited)
          .bytes(pick(this.#random, this.#fillings.photos) ?? Buffer.alloc(0));
        return;
      case ScalarType.DOUBLE:
        writer.tag(number, WireType.Bit64).double(4 * this.#random());
        return;
      case ScalarType.FLOAT:
        writer.tag(number, WireType.Bit32).float(4 * this.#random());
        return;
      case ScalarType.BOOL:
        writer.tag(number, WireType.Varint).bool(this.#random() < 0.5);
        return;
      case ScalarType.INT32:
      case ScalarType.UINT32:
      case ScalarType.INT64:
      case ScalarType.UINT64:
        writer.tag(number, WireType.Varint).uint32(small);
        return;
      case ScalarType.SINT32:
      case ScalarType.SINT64:
      case ScalarType.FIXED32:
      case ScalarType.FIXED64:
      case ScalarType.SFIXED32:
      case ScalarType.SFIXED64:
        throw new HarmonidError(
          'INTERNAL',
          `field ${name} is of a type that the contract did not have: teach this how to make it`,
        );
    }
  }

  #text(name: string): string {
    const { galleries, space } = this.#fillings;
    if (name === 'gallery') return pick(this.#random, galleries) ?? 'default';
    if (name === 'space') return space;
    return `${name}-${Math.floor(12 * this.#random())}`;
  }
}

/** Without these a request does not get past its parsing. A gallery left out is "default", which is nobody's. */
function isUsual({ name }: DescField): boolean {
  return ['gallery', 'identity', 'sample', 'item', 'frame', 'space', 'vector', 'embeddings', 'search'].includes(name);
}
