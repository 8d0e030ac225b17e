/**
 * The memory that the threads of an engine share, as the host sees it: blocks that are handed out and never moved, and nodes in segments (assembly/memory.ts has the map).
 *
 * WebAssembly addresses 4 GiB. What would not fit is refused before anything is changed.
 */
import { HarmonidError } from '../errors.js';
import { instantiate, none, type EngineCode } from './engine-code.js';
import type { Quantiser } from './quantiser.js';

const pageBytes = 65_536;
/** Of the header. */
const headerPages = 2;
const pagesMax = 65_536;
/** Addresses of 32 bits end there; the last page is left alone. */
const bytesMax = (pagesMax - 1) * pageBytes;
const marksGrowth = 1.5;
/** Blocks begin at lines of cache. */
const alignment = 64;

/** Vectors are stored with so many dimensions: a multiple of 16. */
export function storedDimensions(dimensions: number): number {
  return Math.ceil(dimensions / 16) * 16;
}

export interface EngineShape {
  /** Of the vectors. */
  readonly dimensions: number;
  readonly quantiser: Quantiser;
  /** Whether int16 vectors are kept beside the codes: twice the memory, and distances that are a thousand times as exact. */
  readonly withFines: boolean;
}

/** Bytes of a node beside its code, links and fine vector: label, owner, upper lists and where they are, level, marks of threads. */
const otherBytes = 64;

/** Templates that an engine surely has room for: WebAssembly ends at 4 GiB. @param dimensions of the vectors */
export function templatesMax(dimensions: number, withFines: boolean): number {
  const stored = storedDimensions(dimensions);
  return Math.floor((bytesMax - (64 << 20)) / (stored + 128 + (withFines ? 2 * stored + 16 : 0) + otherBytes));
}

export class EngineMemory {
  readonly memory: WebAssembly.Memory;
  readonly code: EngineCode;
  /** As stored. */
  readonly dimensions: number;
  #markCount = 0;
  #words: Uint32Array;
  #floats: Float32Array;

  private constructor(memory: WebAssembly.Memory) {
    this.memory = memory;
    this.#words = new Uint32Array(memory.buffer);
    this.#floats = new Float32Array(memory.buffer);
    this.code = instantiate(memory);
    this.code.attach();
    this.dimensions = this.words[this.code.layout.DIMENSIONS / 4] as number;
  }

  /** An empty engine. */
  static create({ dimensions, quantiser: { centre, scale, step }, withFines }: EngineShape): EngineMemory {
    const memory = new WebAssembly.Memory({ initial: headerPages, maximum: pagesMax, shared: true });
    const { layout } = instantiate(memory);
    const stored = storedDimensions(dimensions);
    const words = new Uint32Array(memory.buffer);
    const floats = new Float32Array(memory.buffer);
    words[layout.DIMENSIONS / 4] = stored;
    floats[layout.STEP / 4] = step;
    words[layout.EPOCH / 4] = 1;
    words[layout.FREE / 4] = headerPages * pageBytes;
    words[layout.HAS_FINES / 4] = withFines ? 1 : 0;
    const engine = new EngineMemory(memory);
    const quantiser = engine.allocate(2 * 4 * stored);
    engine.words[layout.QUANTISER / 4] = quantiser;
    // What is added to the dimensions is 0 in every vector, and costs nothing in any sum.
    engine.floats.set(centre, quantiser / 4);
    engine.floats.set(scale, quantiser / 4 + stored);
    engine.code.setTop(none, -1);
    engine.code.attach();
    return engine;
  }

  /** The same engine in another thread. @param memory as `create` made it */
  static open(memory: WebAssembly.Memory): EngineMemory {
    return new EngineMemory(memory);
  }

  /** All of the memory as it is now; a view is good until the memory grows. */
  get words(): Uint32Array {
    const { buffer } = this.memory;
    if (this.#words.buffer !== buffer) this.#words = new Uint32Array(buffer);
    return this.#words;
  }

  get floats(): Float32Array {
    const { buffer } = this.memory;
    if (this.#floats.buffer !== buffer) this.#floats = new Float32Array(buffer);
    return this.#floats;
  }

  /** Whether int16 vectors are kept beside the codes. */
  get withFines(): boolean {
    return this.words[this.code.layout.HAS_FINES / 4] === 1;
  }

  /** @param dimensions of the vectors */
  quantiserOf(dimensions: number): Quantiser {
    const { layout } = this.code;
    const at = (this.words[layout.QUANTISER / 4] as number) / 4;
    return {
      centre: this.floats.slice(at, at + dimensions),
      scale: this.floats.slice(at + this.dimensions, at + this.dimensions + dimensions),
      step: this.floats[layout.STEP / 4] as number,
    };
  }

  /** How far a squared distance of unit vectors that is taken from codes may be off, and one from fine vectors. */
  get errors(): { readonly code: number; readonly fine: number } {
    const { layout } = this.code;
    const { floats, dimensions } = this;
    const rounding = 4e-6;
    // |q.x - q.x'| <= |q| |x - x'|; a query's numbers are rounded to whole ones, each of which is multiplied by 127 at most.
    const query = (dimensions * 127) / (floats[layout.STEP / 4] as number);
    return {
      code: 2 * (floats[layout.CODE_ERROR / 4] as number) + query + rounding,
      fine: 4 * (floats[layout.FINE_ERROR / 4] as number) + rounding,
    };
  }

  /** Numbers that were ever given. */
  get next(): number {
    return Atomics.load(this.words, this.code.layout.NEXT / 4);
  }

  /** Nodes that have a place. */
  get capacity(): number {
    return Atomics.load(this.words, this.code.layout.CAPACITY / 4);
  }

  /** Bytes that are in use. */
  get bytes(): number {
    return Atomics.load(this.words, this.code.layout.FREE / 4);
  }

  /**
   * Zeros, in any thread.
   * @throws LIMIT_EXCEEDED beyond 4 GiB
   */
  allocate(bytes: number): number {
    const size = Math.ceil(bytes / alignment) * alignment;
    const at = this.code.layout.FREE / 4;
    for (;;) {
      const from = Atomics.load(this.words, at);
      if (from + size > bytesMax) throw this.#full(size);
      if (Atomics.compareExchange(this.words, at, from, from + size) !== from) continue;
      this.#grow(from + size);
      return from;
    }
  }

  /** Makes room for the nodes before `count`. One writer at a time. @throws LIMIT_EXCEEDED, and nothing is changed */
  reserve(count: number): void {
    const { layout } = this.code;
    const perSegment = 1 << layout.SEGMENT_BITS;
    if (count > layout.SEGMENTS_MAX * perSegment) throw this.#full(0);
    while (this.capacity < count) {
      const segment = this.capacity >>> layout.SEGMENT_BITS;
      const { dimensions } = this;
      // One allocation, so that a segment is there whole or not at all.
      const sizes = [
        [layout.CODES, dimensions],
        [layout.LINK_LISTS, 4 * (layout.LINKS + 1)],
        ...(this.withFines ? [[layout.FINES, 2 * dimensions + layout.FINE_HEAD] as const] : []),
        [layout.LABELS, 4],
        [layout.OWNERS, 4],
        [layout.UPPERS, 4],
        [layout.LEVELS, 1],
      ] as const;
      let at = this.allocate(sizes.reduce((sum, [, bytes]) => sum + bytes * perSegment, 0));
      const { words } = this;
      for (const [table, bytes] of sizes) {
        words[table / 4 + segment] = at;
        if (table === layout.LABELS) words.fill(none, at / 4, at / 4 + perSegment);
        if (table === layout.LINK_LISTS) emptyLists(words, at, perSegment, layout.LINKS);
        at += bytes * perSegment;
      }
      Atomics.store(words, layout.CAPACITY / 4, (segment + 1) * perSegment);
    }
  }

  /** Sees to it that the code of this thread has what it works with, and a mark for every node; to be called before it is given work. @param reader the thread's number */
  prepare(reader: number): void {
    const { capacity, code } = this;
    if (this.#markCount > capacity) return;
    const slot = code.layout.SCRATCHES / 4 + 3 * reader;
    if (this.words[slot] === 0) this.words[slot] = this.allocate(code.scratchBytes());
    if ((this.words[slot + 2] as number) <= capacity) {
      // For more nodes than there are, so that they are not made anew with every segment.
      const nodes = Math.ceil(capacity * marksGrowth) + 1;
      this.words[slot + 1] = this.allocate(nodes);
      this.words[slot + 2] = nodes;
    }
    if (this.#markCount === 0) code.useScratch(this.words[slot] as number);
    this.#markCount = this.words[slot + 2] as number;
    code.useMarks(this.words[slot + 1] as number, this.#markCount);
  }

  /** Where a word of a node is, in words. @param table of the layout, with 4 bytes a node */
  wordOf(table: number, node: number): number {
    const { SEGMENT_BITS } = this.code.layout;
    return (this.words[table / 4 + (node >>> SEGMENT_BITS)] as number) / 4 + (node & ((1 << SEGMENT_BITS) - 1));
  }

  /** Where the level of a node is, in bytes. */
  levelAt(node: number): number {
    const { SEGMENT_BITS, LEVELS } = this.code.layout;
    return (this.words[LEVELS / 4 + (node >>> SEGMENT_BITS)] as number) + (node & ((1 << SEGMENT_BITS) - 1));
  }

  /** Lists of a node on the layers above the bottom one. */
  allocateUpper(level: number): number {
    const { UPPER_LINKS } = this.code.layout;
    const at = this.allocate(level * 4 * (UPPER_LINKS + 1));
    emptyLists(this.words, at, level, UPPER_LINKS);
    return at;
  }

  #grow(end: number): void {
    const missing = Math.ceil((end - this.memory.buffer.byteLength) / pageBytes);
    if (missing <= 0) return;
    try {
      this.memory.grow(missing);
    } catch (error) {
      // Another thread may have done it.
      if (this.memory.buffer.byteLength < end)
        throw new HarmonidError('LIMIT_EXCEEDED', `the system has no ${missing * pageBytes} bytes more for the graph`, {
          cause: error,
        });
    }
  }

  #full(size: number): HarmonidError {
    return new HarmonidError(
      'LIMIT_EXCEEDED',
      `the graph has ${this.bytes} bytes and would need ${size} more: WebAssembly ends at ${bytesMax}`,
      { details: { bytes: this.bytes, wanted: size, limit: bytesMax } },
    );
  }
}

/** Version 0, and no link. */
function emptyLists(words: Uint32Array, at: number, count: number, most: number): void {
  words.fill(none, at / 4, at / 4 + count * (most + 1));
  for (let list = 0; list < count; list++) words[at / 4 + list * (most + 1)] = 0;
}
