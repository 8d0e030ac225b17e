/**
 * Searches of one thread in a shared engine. Any number of threads, each with a reader's number of its own, while one writes.
 */
import { none } from './engine-code.js';
import type { EngineMemory } from './engine-memory.js';

/** A template that was found. */
export interface EngineHit {
  readonly label: number;
  readonly owner: number;
  /** Squared L2, by int16 vectors: within 1e-4, as a rule within 1e-5. */
  readonly distance: number;
}

export interface EngineQuery {
  /** Shape [dimensions]. */
  readonly vector: Float32Array;
  /** Templates wanted. */
  readonly wanted: number;
  /** Templates that the walk keeps, at least `wanted`: larger finds more of the nearest and takes longer. */
  readonly width: number;
  /** Owners that may be found: bit `owner % 32` of word `owner / 32`. Default all. */
  readonly allow?: Uint32Array | undefined;
  /** An owner who may not. */
  readonly exclude?: number | undefined;
}

/** The scratch is measured for more nodes than there are, so that it is not made anew with every segment. */
const growth = 1.5;

export class EngineReader {
  readonly #engine: EngineMemory;
  readonly #reader: number;
  #scratchNodes = 0;
  #allowAt = 0;
  #allowWords = 0;

  /** @param reader from 0, one for each thread, below the layout's READERS_MAX */
  constructor(engine: EngineMemory, reader: number) {
    this.#engine = engine;
    this.#reader = reader;
  }

  /** Nearest first. @throws LIMIT_EXCEEDED when there is no memory left to search with */
  search(query: EngineQuery): readonly EngineHit[] {
    return this.#ask(query, (width) => this.#engine.code.search(this.#reader, width, query.wanted));
  }

  /** The same by comparing all codes: what the codes' error takes from the first `wanted` is within the first `width`. */
  scan(query: EngineQuery): readonly EngineHit[] {
    return this.#ask(query, (width) => this.#engine.code.scan(this.#reader, width, query.wanted));
  }

  /** Makes sure that every node has its mark; to be called before the code is given work. */
  prepare(): void {
    const { capacity, code } = this.#engine;
    if (this.#scratchNodes >= capacity) return;
    const nodes = Math.ceil(capacity * growth);
    code.useScratch(this.#engine.allocate(code.scratchBytes(nodes)), nodes);
    this.#scratchNodes = nodes;
  }

  /** Puts a vector where the code finds it. */
  give(vector: Float32Array): void {
    const at = this.#engine.code.vectorOf() / 4;
    const { floats, dimensions } = this.#engine;
    floats.fill(0, at + vector.length, at + dimensions);
    floats.set(vector, at);
  }

  #ask({ vector, wanted, width, allow, exclude }: EngineQuery, work: (width: number) => number): readonly EngineHit[] {
    const { code } = this.#engine;
    this.prepare();
    this.give(vector);
    this.#restrict(allow, exclude);
    const count = work(Math.min(code.layout.WIDTH_MAX, Math.max(wanted, width)));
    const at = code.answers() / 4;
    const { words, floats } = this.#engine;
    return Array.from({ length: count }, (_, i) => ({
      label: words[at + 4 * i + 1] as number,
      owner: words[at + 4 * i + 2] as number,
      distance: floats[at + 4 * i + 3] as number,
    })).filter(({ label }) => label !== none);
  }

  #restrict(allow: Uint32Array | undefined, exclude = none): void {
    if (allow && allow.length > this.#allowWords) {
      this.#allowAt = this.#engine.allocate(4 * allow.length);
      this.#allowWords = allow.length;
    }
    if (allow) this.#engine.words.set(allow, this.#allowAt / 4);
    this.#engine.code.restrict(allow ? this.#allowAt : 0, allow?.length ?? 0, exclude);
  }
}
