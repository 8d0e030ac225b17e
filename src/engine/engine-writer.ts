/**
 * The one who changes a shared engine: templates come, are linked, go, and leave nothing behind.
 *
 * Promises: a template that was added is found by every search that begins afterwards, one that was removed by none. `link` takes what came into the graph and `mend` takes removed ones out of the graph in portions,
 * between which others have their turn; when it has come round and no reader holds one any more, its bytes are overwritten and its number is given to another.
 */
import { assertInvariant } from '../errors.js';
import { none } from './engine-code.js';
import type { EngineMemory } from './engine-memory.js';
import { EngineReader } from './engine-reader.js';
import { NodeTable } from './node-table.js';
import { WaitingRing } from './waiting-ring.js';

/** Own links of a node on the bottom layer, and the width of the walk that finds them: larger is a better and slower graph. With these a walk by codes finds what hnswlib (M = 16, ef_construction = 200) finds with the same width, also among a million templates. */
export const linkingDefaults = { links: 24, width: 256 } as const;
/** A sixteenth of each layer is on the next. */
const layerBase = 16;

/** A round over all nodes. */
interface Pass {
  /** Removed before it began. */
  readonly nodes: readonly number[];
  /** Nodes before it are mended. */
  at: number;
  /** Readers of older epochs may hold what was removed; null until all are mended. */
  epoch: number | null;
}

/** Nodes that are mended before others have their turn. */
const nodesPerPortion = 256;

export class EngineWriter {
  readonly #engine: EngineMemory;
  readonly #own: EngineReader;
  readonly #nodes = new NodeTable();
  readonly #ring: WaitingRing;
  /** Numbers without a template. */
  readonly #free: number[] = [];
  /** Removed since the pass began, or since ever where there is none. */
  #removed: number[] = [];
  /** The pass that runs. */
  #pass: Pass | null = null;
  /** Lists of upper layers that nobody has, by their number. */
  readonly #uppers = new Map<number, number[]>();

  /** Whether numbers that have become free are given to others: not while the engine is being written down. */
  isReusing = true;
  /** Rounds of mending that were finished. */
  passCount = 0;

  /** @param engine an empty one, or one that was put together again @param reader the writer's own number as a reader */
  constructor(engine: EngineMemory, reader = 0) {
    this.#engine = engine;
    this.#own = new EngineReader(engine, reader);
    this.#ring = new WaitingRing(engine);
    this.#ring.makeRoom();
    for (let node = 0; node < engine.next; node++) {
      const label = this.#labelOf(node);
      if (label === none) {
        this.#removed.push(node);
        continue;
      }
      if (this.#nodes.get(label) !== undefined) throw new Error(`label ${label} has two nodes`);
      this.#nodes.set(label, node);
    }
    engine.words[engine.code.layout.REMOVED / 4] = this.#removed.length;
  }

  get count(): number {
    return this.#nodes.count;
  }

  /** Removed templates whose bytes are still there. */
  get removedCount(): number {
    return this.#removed.length + (this.#pass?.nodes.length ?? 0);
  }

  /** Templates that were added and are not linked yet, and some of those that went meanwhile. */
  get waitingCount(): number {
    const { next } = this.#engine;
    return next - this.#linked + this.#ring.length;
  }

  has(label: number): boolean {
    return this.#nodes.get(label) !== undefined;
  }

  /** Undefined when the label is not there (any more). */
  ownerOf(label: number): number | undefined {
    const node = this.#nodes.get(label);
    if (node === undefined) return undefined;
    return this.#engine.words[this.#engine.wordOf(this.#engine.code.layout.OWNERS, node)];
  }

  /** Live: what is removed before its turn does not come. */
  labels(): Generator<number, void, undefined> {
    return this.#nodes.labels();
  }

  /**
   * It is found from now on: by comparing it, until it is linked.
   * @param vector shape [dimensions], finite, of length 1
   * @throws LIMIT_EXCEEDED, and nothing is changed
   */
  add(label: number, owner: number, vector: Float32Array): void {
    assertInvariant(this.#nodes.get(label) === undefined, 'a label is added once');
    const { code } = this.#engine;
    const { next } = this.#engine;
    const node = (this.isReusing ? this.#free.at(-1) : undefined) ?? next;
    if (node !== next) this.#ring.makeRoom();
    this.#engine.reserve(node + 1);
    this.#own.prepare();
    const level = levelOf(label);
    const upper = level === 0 ? 0 : (this.#uppers.get(level)?.pop() ?? this.#engine.allocateUpper(level));
    this.#own.give(vector);
    code.encode(code.vectorOf(), node);
    const { words } = this.#engine;
    words[this.#engine.wordOf(code.layout.UPPERS, node)] = upper;
    words[this.#engine.wordOf(code.layout.OWNERS, node)] = owner;
    new Uint8Array(words.buffer)[this.#engine.levelAt(node)] = level;
    Atomics.store(words, this.#engine.wordOf(code.layout.LABELS, node), label);
    if (node === next) {
      this.#setWord('NEXT', next + 1);
    } else {
      this.#free.pop();
      this.#ring.push(node);
    }
    this.#nodes.set(label, node);
  }

  /** Links what waits for it, for a while. @returns whether nothing is left to do */
  link(durationMs = Infinity): boolean {
    const untilMs = performance.now() + durationMs;
    for (;;) {
      const node = this.#firstWaiting();
      if (node === undefined) return true;
      if (performance.now() >= untilMs) return false;
      if (this.#labelOf(node) !== none) {
        this.#own.prepare();
        linkNode(this.#engine, node, node < this.#linked || this.#areOthersReplacements());
      }
      this.#passOver();
    }
  }

  /** What waits for being linked, for others to link it: so many replacements first, and how to say that they have been linked; what is added meanwhile goes on waiting. */
  handOver(): { readonly nodes: readonly number[]; readonly replacements: number; readonly linked: () => void } {
    const { tail } = this.#ring;
    const [first, end] = [this.#linked, this.#engine.next];
    const isLive = (node: number): boolean => this.#labelOf(node) !== none;
    const reused = this.#ring.nodes().filter(isLive);
    const others = Array.from({ length: end - first }, (_, i) => first + i).filter(isLive);
    return {
      nodes: [...reused, ...others],
      replacements: reused.length + (this.#areOthersReplacements() ? others.length : 0),
      linked: () => {
        this.#ring.passTo(tail);
        this.#setWord('LINKED', end);
      },
    };
  }

  /** When a call of its own has ended in the middle, or threads that linked have, readers from `firstReader` on: what they held is free again. They no longer run, and nobody else links. */
  recover(firstReader = 0, readers = 0): void {
    this.#engine.code.recover(firstReader, firstReader + readers);
  }

  /** Whether those who wait with new numbers are no more than those who went and have left theirs. */
  #areOthersReplacements(): boolean {
    return this.#engine.next - this.#linked <= this.#free.length + this.removedCount;
  }

  #firstWaiting(): number | undefined {
    return this.#ring.first ?? (this.#linked < this.#engine.next ? this.#linked : undefined);
  }

  #passOver(): void {
    if (this.#ring.length > 0) this.#ring.shift();
    else this.#setWord('LINKED', this.#linked + 1);
  }

  /** Nodes with new numbers wait from there on. */
  get #linked(): number {
    return this.#engine.words[this.#engine.code.layout.LINKED / 4] as number;
  }

  #setWord(name: 'LINKED' | 'NEXT', value: number): void {
    Atomics.store(this.#engine.words, this.#engine.code.layout[name] / 4, value);
  }

  #labelOf(node: number): number {
    return this.#engine.words[this.#engine.wordOf(this.#engine.code.layout.LABELS, node)] as number;
  }

  /** Whether it was there. */
  remove(label: number): boolean {
    const node = this.#nodes.get(label);
    if (node === undefined) return false;
    const { code, words } = this.#engine;
    Atomics.add(words, code.layout.REMOVED / 4, 1);
    Atomics.store(words, this.#engine.wordOf(code.layout.LABELS, node), none);
    this.#nodes.delete(label);
    this.#removed.push(node);
    return true;
  }

  /** Takes removed templates out of the graph for a while. @returns whether nothing is left to do */
  mend(durationMs: number): boolean {
    const untilMs = performance.now() + durationMs;
    while (performance.now() < untilMs) {
      if (!this.#pass) {
        if (this.#removed.length === 0) return true;
        this.#pass = { nodes: this.#removed, at: 0, epoch: null };
        this.#removed = [];
        this.#moveTop();
      }
      if (!this.#mendPortion(this.#pass)) return false;
    }
    return this.removedCount === 0;
  }

  /** False while readers are waited for. */
  #mendPortion(pass: Pass): boolean {
    const { code } = this.#engine;
    this.#own.prepare();
    if (pass.at < this.#engine.next) {
      const end = Math.min(this.#engine.next, pass.at + nodesPerPortion);
      code.mend(pass.at, end);
      pass.at = end;
      return true;
    }
    pass.epoch ??= code.beginEpoch();
    if (!code.isQuiet(pass.epoch)) return false;
    for (const node of pass.nodes) {
      code.wipe(node);
      this.#free.push(node);
      this.#keepUpper(node);
    }
    Atomics.sub(this.#engine.words, code.layout.REMOVED / 4, pass.nodes.length);
    this.#pass = null;
    this.passCount++;
    return true;
  }

  #keepUpper(node: number): void {
    const { code, words, memory } = this.#engine;
    const levels = new Uint8Array(memory.buffer);
    const level = levels[this.#engine.levelAt(node)] as number;
    if (level === 0) return;
    levels[this.#engine.levelAt(node)] = 0;
    const upper = words[this.#engine.wordOf(code.layout.UPPERS, node)] as number;
    this.#uppers.set(level, [...(this.#uppers.get(level) ?? []), upper]);
  }

  /** Where the highest node was removed, another one is. */
  #moveTop(): void {
    const { code } = this.#engine;
    const top = code.top();
    if (top >> 32n < 0n) return;
    const { words, next } = this.#engine;
    if (this.#labelOf(Number(top & 0xffffffffn)) !== none) return;
    const levels = new Uint8Array(words.buffer);
    // Some of them may be linked already: then another top is found.
    const waiting = new Set(this.#ring.nodes());
    let [best, highest] = [none, -1];
    for (let node = 0; node < next; node++) {
      const level = levels[this.#engine.levelAt(node)] as number;
      if (level <= highest || this.#labelOf(node) === none || node >= this.#linked || waiting.has(node)) continue;
      [best, highest] = [node, level];
    }
    code.setTop(best, highest);
  }
}

/**
 * Takes a node that was placed into the graph; in any thread.
 * @param isReplacement whether it came for one who went: then it gets all the links that a list has room for. In a gallery that grows, many come later and link to it, too; in one that stays as large, only as many as go.
 */
export function linkNode({ code }: EngineMemory, node: number, isReplacement: boolean): void {
  code.link(node, linkingDefaults.width, isReplacement ? code.layout.LINKS : linkingDefaults.links);
}

/** By the label alone, so that the same templates make the same layers: geometric, a sixteenth of each layer on the next (Malkov & Yashunin, 1 / ln M). */
function levelOf(label: number): number {
  let mixed = (label + 0x9e3779b9) >>> 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
  const uniform = (((mixed ^ (mixed >>> 15)) >>> 0) + 1) / 2 ** 32;
  return Math.min(12, Math.floor(-Math.log(uniform) / Math.log(layerBase)));
}
