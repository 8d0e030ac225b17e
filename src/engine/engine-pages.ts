/**
 * An engine as pages of bytes, which can be kept anywhere, and an engine made of such pages again.
 *
 * Pages are what the memory holds, cut into pieces, without what is only good in that memory: addresses, and the versions of lists. Each piece has a key of its own that stays
 * the same, so that a piece that has not changed need not be kept again. What is read is not trusted: no link leads out of the engine.
 */
import { none } from './engine-code.js';
import { EngineMemory } from './engine-memory.js';
import type { Quantiser } from './quantiser.js';
import { WaitingRing } from './waiting-ring.js';

/** What an engine is apart from its pages. */
export interface EngineFacts {
  /** Of the vectors. */
  readonly dimensions: number;
  readonly withFines: boolean;
  /** Numbers that were ever given. */
  readonly next: number;
  /** Waiting for being linked: the numbers from this one on, and some before it. */
  readonly linked: number;
  readonly waiting: readonly number[];
  /** Highest node and its level; null for an engine in which nothing is linked. */
  readonly top: { readonly node: number; readonly level: number } | null;
  /** Squared-L2 errors are told from these: see `EngineMemory.errors`. */
  readonly codeError: number;
  readonly fineError: number;
  readonly step: number;
}

export interface EnginePage {
  /** Kind, segment and part in one number. */
  readonly key: number;
  /** A copy. */
  readonly bytes: Buffer;
}

const kinds = { quantiser: 0, codes: 1, links: 2, fines: 3, labels: 4, owners: 5, levels: 6, uppers: 7 } as const;
type Kind = keyof typeof kinds;
const kindCount = 8;
const partCount = 1 << 16;
export const pageBytesMax = 65_536;

function keyOf(kind: Kind, segment: number, part: number): number {
  return (segment * kindCount + kinds[kind]) * partCount + part;
}

/** Regions that are kept as they are: one a segment. */
function regionsOf({ code: { layout }, dimensions, withFines }: EngineMemory): readonly {
  readonly kind: Kind;
  readonly table: number;
  readonly bytes: number;
}[] {
  return [
    { kind: 'codes', table: layout.CODES, bytes: dimensions },
    { kind: 'links', table: layout.LINK_LISTS, bytes: 4 * (layout.LINKS + 1) },
    ...(withFines ? [{ kind: 'fines', table: layout.FINES, bytes: 2 * dimensions + layout.FINE_HEAD } as const] : []),
    { kind: 'labels', table: layout.LABELS, bytes: 4 },
    { kind: 'owners', table: layout.OWNERS, bytes: 4 },
    { kind: 'levels', table: layout.LEVELS, bytes: 1 },
  ];
}

/** @param dimensions of the vectors; nothing is linked meanwhile */
export function factsOf(engine: EngineMemory, dimensions: number): EngineFacts {
  const { code, words, floats, next, withFines } = engine;
  const { layout } = code;
  const top = code.top();
  return {
    dimensions,
    withFines,
    next,
    linked: words[layout.LINKED / 4] as number,
    // One who went before he was linked, and whose number was given again, is in it twice.
    waiting: [...new Set(new WaitingRing(engine).nodes())],
    top: top < 0n ? null : { node: Number(top & 0xffffffffn), level: Number(top >> 32n) },
    codeError: floats[layout.CODE_ERROR / 4] as number,
    fineError: floats[layout.FINE_ERROR / 4] as number,
    step: floats[layout.STEP / 4] as number,
  };
}

/** All pages of the nodes before `next`, as they are when their turn comes. Nothing is linked meanwhile. */
export function* pagesOf(engine: EngineMemory, next: number): Generator<EnginePage, void, undefined> {
  const { layout } = engine.code;
  const quantiser = engine.words[layout.QUANTISER / 4] as number;
  yield { key: keyOf('quantiser', 0, 0), bytes: copy(engine, quantiser, 8 * engine.dimensions) };
  const perSegment = 1 << layout.SEGMENT_BITS;
  for (let segment = 0; segment * perSegment < next; segment++) {
    for (const { kind, table, bytes } of regionsOf(engine)) {
      const size = bytes * perSegment;
      for (let part = 0; part * pageBytesMax < size; part++) {
        const at = (engine.words[table / 4 + segment] as number) + part * pageBytesMax;
        const page = copy(engine, at, Math.min(pageBytesMax, size - part * pageBytesMax));
        if (kind === 'links') forgetVersions(page, layout.LINKS + 1);
        yield { key: keyOf(kind, segment, part), bytes: page };
      }
    }
    const uppers = uppersOf(engine, segment, next);
    for (let part = 0; part * pageBytesMax < uppers.length; part++) {
      const page = uppers.subarray(part * pageBytesMax, (part + 1) * pageBytesMax);
      yield { key: keyOf('uppers', segment, part), bytes: page };
    }
  }
}

function copy({ memory }: EngineMemory, at: number, bytes: number): Buffer {
  return Buffer.from(new Uint8Array(memory.buffer).slice(at, at + bytes));
}

function wordsIn(page: Buffer): Uint32Array {
  return new Uint32Array(page.buffer, page.byteOffset, page.length / 4);
}

function forgetVersions(page: Buffer, words: number): void {
  const lists = wordsIn(page);
  for (let at = 0; at < lists.length; at += words) lists[at] = 0;
}

/** The lists of a segment's nodes on the layers above the bottom one, node by node, from below. */
function uppersOf(engine: EngineMemory, segment: number, next: number): Buffer {
  const { layout } = engine.code;
  const { words } = engine;
  const levels = new Uint8Array(words.buffer);
  const parts: Uint32Array[] = [];
  const first = segment << layout.SEGMENT_BITS;
  for (let node = first; node < Math.min(next, first + (1 << layout.SEGMENT_BITS)); node++) {
    const level = levels[engine.levelAt(node)] as number;
    const at = (words[engine.wordOf(layout.UPPERS, node)] as number) / 4;
    for (let i = 0; i < level; i++) {
      const list = at + i * (layout.UPPER_LINKS + 1);
      parts.push(words.slice(list + 1, list + 1 + layout.UPPER_LINKS));
    }
  }
  const all = new Uint32Array(parts.length * layout.UPPER_LINKS);
  parts.forEach((part, i) => all.set(part, i * layout.UPPER_LINKS));
  return Buffer.from(all.buffer);
}

/** Puts an engine together. @throws Error that says what does not fit; LIMIT_EXCEEDED */
export class EngineAssembly {
  readonly engine: EngineMemory;
  readonly #facts: EngineFacts;
  /** Pages that are still missing. */
  readonly #missing: Set<number>;
  readonly #uppers = new Map<number, Buffer>();

  /** @param quantiserPage the page that comes first */
  constructor(facts: EngineFacts, quantiserPage: Buffer) {
    this.#facts = facts;
    this.engine = EngineMemory.create({
      dimensions: facts.dimensions,
      withFines: facts.withFines,
      quantiser: quantiserIn(quantiserPage, facts.step),
    });
    const { layout } = this.engine.code;
    this.engine.reserve(facts.next);
    const perSegment = 1 << layout.SEGMENT_BITS;
    this.#missing = new Set();
    for (let segment = 0; segment * perSegment < facts.next; segment++) {
      for (const { kind, bytes } of regionsOf(this.engine)) {
        for (let part = 0; part * pageBytesMax < bytes * perSegment; part++)
          this.#missing.add(keyOf(kind, segment, part));
      }
    }
  }

  /** In any order. The bytes are the caller's again when it returns. */
  put({ key, bytes }: EnginePage): void {
    const part = key % partCount;
    const kind = Math.floor(key / partCount) % kindCount;
    const segment = Math.floor(key / partCount / kindCount);
    if (kind === kinds.quantiser) return;
    if (kind === kinds.uppers) {
      this.#uppers.set(key, Buffer.from(bytes));
      return;
    }
    const region = regionsOf(this.engine).find((each) => kinds[each.kind] === kind);
    // Of fine vectors that are not wanted.
    if (!region && kind === kinds.fines) return;
    if (!region || !this.#missing.delete(key)) throw new Error(`page ${key} is not one of the engine, or comes twice`);
    const size = region.bytes << this.engine.code.layout.SEGMENT_BITS;
    const expected = Math.min(pageBytesMax, size - part * pageBytesMax);
    if (bytes.length !== expected) throw new Error(`page ${key} has ${bytes.length} bytes, not ${expected}`);
    const at = (this.engine.words[region.table / 4 + segment] as number) + part * pageBytesMax;
    new Uint8Array(this.engine.memory.buffer).set(bytes, at);
    if (region.kind !== 'links') return;
    this.#checkLinks(this.engine.words.subarray(at / 4, (at + bytes.length) / 4), this.engine.code.layout.LINKS + 1);
  }

  /** When all pages are there. */
  finish(): EngineMemory {
    const { next, linked, waiting, top, codeError, fineError } = this.#facts;
    const { code, words, floats } = this.engine;
    const { layout } = code;
    if (this.#missing.size > 0) throw new Error(`${this.#missing.size} pages are missing`);
    if (linked > next || waiting.length > next || waiting.some((node) => node >= next))
      throw new Error(`what waits to be linked is beyond ${next}`);
    const levels = new Uint8Array(words.buffer);
    for (let segment = 0; segment << layout.SEGMENT_BITS < next; segment++) this.#putUppers(segment, levels);
    if (top && (top.node >= next || top.level > (levels[this.engine.levelAt(top.node)] as number)))
      throw new Error(`the top is node ${top.node} on layer ${top.level}, which is not there`);
    if (top) code.setTop(top.node, top.level);
    floats[layout.CODE_ERROR / 4] = codeError;
    floats[layout.FINE_ERROR / 4] = fineError;
    words[layout.NEXT / 4] = next;
    words[layout.LINKED / 4] = linked;
    const ring = new WaitingRing(this.engine);
    for (const node of waiting) {
      ring.makeRoom();
      ring.push(node);
    }
    return this.engine;
  }

  #checkLinks(lists: Uint32Array, words: number): void {
    const { next } = this.#facts;
    for (let at = 0; at < lists.length; at++) {
      const value = lists[at] as number;
      if (at % words === 0) lists[at] = 0;
      else if (value !== none && value >= next) throw new Error(`a link leads to ${value}, there are ${next}`);
    }
  }

  #putUppers(segment: number, levels: Uint8Array): void {
    const { layout } = this.engine.code;
    const parts: Buffer[] = [];
    for (let part = 0; ; part++) {
      const bytes = this.#uppers.get(keyOf('uppers', segment, part));
      if (!bytes) break;
      parts.push(bytes);
    }
    const lists = wordsIn(Buffer.concat(parts));
    let from = 0;
    const first = segment << layout.SEGMENT_BITS;
    for (let node = first; node < Math.min(this.#facts.next, first + (1 << layout.SEGMENT_BITS)); node++) {
      const level = levels[this.engine.levelAt(node)] as number;
      if (level === 0) continue;
      const at = this.engine.allocateUpper(level);
      this.engine.words[this.engine.wordOf(layout.UPPERS, node)] = at;
      for (let i = 0; i < level; i++, from += layout.UPPER_LINKS) {
        const list = lists.subarray(from, from + layout.UPPER_LINKS);
        if (list.length < layout.UPPER_LINKS)
          throw new Error(`the upper lists of segment ${segment} end before its nodes`);
        for (const value of list)
          if (value !== none && (value >= this.#facts.next || (levels[this.engine.levelAt(value)] as number) <= i))
            throw new Error(`a link on layer ${i + 1} leads to ${value}, which is not there`);
        this.engine.words.set(list, at / 4 + i * (layout.UPPER_LINKS + 1) + 1);
      }
    }
    if (from !== lists.length) throw new Error(`the upper lists of segment ${segment} are of more nodes than it has`);
  }
}

/** Of the page that comes first. */
export function quantiserIn(page: Buffer, step: number): Quantiser {
  const numbers = new Float32Array(page.length / 4);
  page.copy(Buffer.from(numbers.buffer));
  return { centre: numbers.slice(0, numbers.length / 2), scale: numbers.slice(numbers.length / 2), step };
}
