/**
 * Exported templates as a file, in both formats, out and in.
 *
 * `jsonl`: a JSON object a line, the vector as base64 of little-endian float32. `binary`: `harmonid.v1.ExportTemplatesResponse` after
 * `harmonid.v1.ExportTemplatesResponse`, each after its length as a varint, so that any language reads it with the public proto. Both
 * bring every value back exactly. Reading recognises the format by the first bytes, holds one template at a time, and says where a
 * file is damaged; what the values mean is the database's to judge.
 */
import type { ExportedTemplate } from './api.js';
import type { ByteReader } from './byte-reader.js';
import { HarmonidError } from './errors.js';
import { ExportTemplatesResponse } from './wire/harmonid/v1/admin.js';
import { formatExported, parseExported } from './wire/templates.js';

export const templateFormats = ['jsonl', 'binary'] as const;
export type TemplateFormat = (typeof templateFormats)[number];

/** More than any template takes in either format. */
const itemBytesMax = 16 << 20;
const lineReadBytes = 64 * 1024;
/** A varint of a length below itemBytesMax. */
const lengthBytesMax = 4;
const newline = 0x0a;

/** One template as it stands in a file. */
export function encodeTemplate(format: TemplateFormat, exported: ExportedTemplate): Buffer {
  if (format === 'jsonl') return Buffer.from(`${JSON.stringify(lineOf(exported))}\n`);
  const message = ExportTemplatesResponse.encode(formatExported(exported)).finish();
  return Buffer.concat([varint(message.length), message]);
}

/** The templates of a file. @throws INVALID_ARGUMENT, saying which item and where */
export async function* readTemplates(reader: ByteReader): AsyncGenerator<ExportedTemplate, void, void> {
  try {
    const beginning = await reader.peek(2);
    if (beginning[0] === 0x1f && beginning[1] === 0x8b) {
      throw invalidFile(
        'the file is compressed with gzip: unpack it first, e.g. `gunzip -c FILE | harmonid import --templates -`',
      );
    }
    yield* isJson(beginning) ? readLines(reader) : readMessages(reader);
  } finally {
    await reader.close();
  }
}

/** A message begins with its length, which may be that of an opening brace, and then a field's tag, which is no quotation mark. */
function isJson([first, second]: Buffer): boolean {
  return first === 0x7b && (second === 0x22 || second === 0x20);
}

// ── JSON Lines ───────────────────────────────────────────────────────────────────────────────────────────────────────

function lineOf({ embedding, ...about }: ExportedTemplate): object {
  const { space, vector } = embedding;
  return { ...about, space, dimensions: vector.length, vector: vectorBase64(vector) };
}

/** Little-endian float32, base64. */
export function vectorBase64(vector: ArrayLike<number>): string {
  const bytes = Buffer.alloc(4 * vector.length);
  for (let i = 0; i < vector.length; i++) bytes.writeFloatLE(vector[i] ?? 0, 4 * i);
  return bytes.toString('base64');
}

async function* readLines(reader: ByteReader): AsyncGenerator<ExportedTemplate, void, void> {
  for (let number = 1; ; number++) {
    const line = await readLine(reader, number);
    if (line === undefined) return;
    if (line.trim() !== '') yield parseLine(line, `line ${number}`);
  }
}

/** Without its end; undefined at the end of the file. */
async function readLine(reader: ByteReader, number: number): Promise<string | undefined> {
  for (let wanted = lineReadBytes; wanted <= itemBytesMax; wanted *= 2) {
    const bytes = await reader.peek(wanted);
    const end = bytes.indexOf(newline);
    if (end >= 0) return (await reader.read(end + 1)).toString('utf8', 0, end);
    if (bytes.length === 0) return undefined;
    if (bytes.length < wanted) return (await reader.read(bytes.length)).toString();
  }
  throw invalidFile(`line ${number} is longer than ${itemBytesMax} bytes`);
}

function parseLine(line: string, where: string): ExportedTemplate {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw invalidFile(`${where} is no JSON; the file is damaged, or it is cut short`, cause);
  }
  const fields = new Fields(value, where);
  const template = new Fields(fields.of('template'), `${where}, template`);
  const space = fields.text('space');
  return {
    gallery: fields.text('gallery'),
    identity: fields.text('identity'),
    label: fields.text('label'),
    groups: fields.texts('groups'),
    attributes: fields.map('attributes'),
    template: {
      template: template.number('template'),
      space: template.text('space'),
      // Names that are none are refused by the database, item by item.
      origin: template.text('origin') as ExportedTemplate['template']['origin'],
      quality: template.of('quality') === null ? null : template.number('quality'),
      imageDigest: template.of('imageDigest') === null ? null : template.text('imageDigest'),
      enrolledAt: new Date(template.text('enrolledAt')),
    },
    embedding: { space, vector: parseVectorText(fields, where) },
  };
}

function parseVectorText(fields: Fields, where: string): Float32Array {
  const bytes = Buffer.from(fields.text('vector'), 'base64');
  const dimensions = fields.number('dimensions');
  if (bytes.length !== 4 * dimensions) {
    throw invalidFile(`${where}: vector has ${bytes.length} bytes, ${dimensions} dimensions have ${4 * dimensions}`);
  }
  return Float32Array.from({ length: dimensions }, (_, i) => bytes.readFloatLE(4 * i));
}

/** The fields of a JSON object, each of the type that is asked for. */
class Fields {
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #where: string;

  constructor(value: unknown, where: string) {
    if (!isObject(value)) throw invalidFile(`${where} is no JSON object`);
    this.#fields = value;
    this.#where = where;
  }

  of(name: string): unknown {
    return this.#fields[name];
  }

  text(name: string): string {
    const value = this.#fields[name];
    return typeof value === 'string' ? value : this.#refuse(name, 'a string');
  }

  number(name: string): number {
    const value = this.#fields[name];
    return typeof value === 'number' ? value : this.#refuse(name, 'a number');
  }

  texts(name: string): readonly string[] {
    const value = this.#fields[name];
    return Array.isArray(value) && value.every((text) => typeof text === 'string')
      ? value
      : this.#refuse(name, 'a list of strings');
  }

  map(name: string): Readonly<Record<string, string>> {
    const value = this.#fields[name];
    const isMap = isObject(value) && Object.values(value).every((text) => typeof text === 'string');
    return isMap ? (value as Record<string, string>) : this.#refuse(name, 'an object of strings');
  }

  #refuse(name: string, wanted: string): never {
    throw invalidFile(`${this.#where}: ${name} is ${typeof this.#fields[name]}, ${wanted} is wanted`);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

// ── Length-delimited protobuf ────────────────────────────────────────────────────────────────────────────────────────

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
}

async function* readMessages(reader: ByteReader): AsyncGenerator<ExportedTemplate, void, void> {
  for (let number = 1; ; number++) {
    const where = `item ${number}, at byte ${reader.position}`;
    const length = await readLength(reader, where);
    if (length === undefined) return;
    const bytes = await reader.read(length);
    if (bytes.length < length) throw invalidFile(`${where}: the file ends after ${bytes.length} of ${length} bytes`);
    yield parseMessage(bytes, where);
  }
}

/** Undefined at the end of the file. */
async function readLength(reader: ByteReader, where: string): Promise<number | undefined> {
  let length = 0;
  for (let i = 0; i < lengthBytesMax; i++) {
    const [byte] = await reader.read(1);
    if (byte === undefined && i === 0) return undefined;
    if (byte === undefined) throw invalidFile(`${where}: the file ends within a length`);
    length |= (byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      if (length <= itemBytesMax) return length;
      break;
    }
  }
  throw invalidFile(`${where}: its length is beyond ${itemBytesMax} bytes; this is no file of templates`);
}

function parseMessage(bytes: Buffer, where: string): ExportedTemplate {
  let message: ExportTemplatesResponse;
  try {
    message = ExportTemplatesResponse.decode(bytes);
  } catch (cause) {
    throw invalidFile(`${where} is no ExportTemplatesResponse; this is no file of templates, or it is damaged`, cause);
  }
  return parseExported(message, (what) => invalidFile(`${where} lacks ${what}`));
}

function invalidFile(message: string, cause?: unknown): HarmonidError {
  return new HarmonidError('INVALID_ARGUMENT', message, { cause });
}
