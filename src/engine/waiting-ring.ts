/**
 * Placed nodes whose numbers had been free before, until they are linked: a ring in the shared memory, which every search compares (assembly/search.ts).
 *
 * One writer. When it is full a larger one takes its place: a reader takes the block after it has read the ends, so that all that is between them is in whichever it takes.
 */
import type { EngineMemory } from './engine-memory.js';

/** Places of the first block. */
const firstSize = 64;

export class WaitingRing {
  readonly #engine: EngineMemory;

  constructor(engine: EngineMemory) {
    this.#engine = engine;
  }

  /** Where the next one comes; ends count upwards. */
  get tail(): number {
    return this.#word('RING_TAIL');
  }

  get length(): number {
    return (this.tail - this.#word('RING_HEAD')) >>> 0;
  }

  /** The first one in it; undefined when there is none. */
  get first(): number | undefined {
    return this.length === 0 ? undefined : this.#at(this.#word('RING_HEAD'));
  }

  /** In their order. */
  nodes(): number[] {
    const head = this.#word('RING_HEAD');
    return Array.from({ length: this.length }, (_, i) => this.#at(head + i));
  }

  /** To be called before `push`. @throws LIMIT_EXCEEDED, and nothing is changed */
  makeRoom(): void {
    const { code } = this.#engine;
    const old = this.#word('RING');
    const size = old === 0 ? 0 : this.#sizeOf(old);
    if (this.length < size) return;
    const nodes = this.nodes();
    const larger = Math.max(firstSize, 2 * size);
    const block = this.#engine.allocate(4 * (1 + larger));
    const { words } = this.#engine;
    words[block / 4] = larger;
    const head = this.#word('RING_HEAD');
    nodes.forEach((node, i) => (words[placeOf(block, larger, head + i)] = node));
    Atomics.store(words, code.layout.RING / 4, block);
  }

  push(node: number): void {
    const block = this.#word('RING');
    const { tail } = this;
    this.#engine.words[placeOf(block, this.#sizeOf(block), tail)] = node;
    this.#setWord('RING_TAIL', tail + 1);
  }

  /** Those before `end` are linked. */
  passTo(end: number): void {
    this.#setWord('RING_HEAD', end);
  }

  /** The first one is linked. */
  shift(): void {
    this.passTo(this.#word('RING_HEAD') + 1);
  }

  #at(index: number): number {
    const block = this.#word('RING');
    return this.#engine.words[placeOf(block, this.#sizeOf(block), index)] as number;
  }

  /** Places of a block: a power of two. */
  #sizeOf(block: number): number {
    return this.#engine.words[block / 4] as number;
  }

  #word(name: 'RING' | 'RING_HEAD' | 'RING_TAIL'): number {
    return this.#engine.words[this.#engine.code.layout[name] / 4] as number;
  }

  #setWord(name: 'RING_HEAD' | 'RING_TAIL', value: number): void {
    Atomics.store(this.#engine.words, this.#engine.code.layout[name] / 4, value);
  }
}

/** Of an index in a block, in words. */
function placeOf(block: number, size: number, index: number): number {
  return block / 4 + 1 + (index & (size - 1));
}
