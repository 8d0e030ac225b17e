/**
 * An engine that may be searched by threads beside that of its graph, and how they know that it has every change.
 *
 * The graph's thread counts in shared memory what it has applied, and whoever posts changes counts them, too. While both have the same count, and the engine is still the graph's, a search of
 * it sees every change that was posted before, whichever thread does it. Otherwise only the graph's own thread, to which messages come in their order, can tell.
 */
import type { GraphSource } from './graph-messages.js';

export interface SharedEngine {
  readonly memory: WebAssembly.Memory;
  /** Of the vectors. */
  readonly dimensions: number;
  readonly exactMax: number;
  readonly source: GraphSource;
  /** Changes applied since the graph was opened, and whether the engine is the graph's no more. Shared. */
  readonly progress: Int32Array;
}

const [appliedAt, retiredAt] = [0, 1];

/** @param posted changes since the graph was opened */
export function hasAll({ progress }: SharedEngine, posted: number): boolean {
  // The engine first: what is counted after it was retired is not in it.
  return Atomics.load(progress, appliedAt) === (posted | 0) && Atomics.load(progress, retiredAt) === 0;
}

/** In the graph's thread. */
export class EngineSharing {
  readonly #facts: Omit<SharedEngine, 'memory' | 'progress'>;
  readonly #tell: (shared: SharedEngine | null) => void;
  #applied = 0;
  #progress: Int32Array | null = null;

  constructor(facts: Omit<SharedEngine, 'memory' | 'progress'>, tell: (shared: SharedEngine | null) => void) {
    this.#facts = facts;
    this.#tell = tell;
  }

  /** Which engine is the graph's from now on; null: it has none. */
  share(memory: WebAssembly.Memory | null): void {
    if (this.#progress) Atomics.store(this.#progress, retiredAt, 1);
    this.#progress = memory && new Int32Array(new SharedArrayBuffer(8));
    if (this.#progress) Atomics.store(this.#progress, appliedAt, this.#applied);
    this.#tell(memory && this.#progress && { ...this.#facts, memory, progress: this.#progress });
  }

  /** A change is in the graph. */
  applied(): void {
    this.#applied = (this.#applied + 1) | 0;
    if (this.#progress) Atomics.store(this.#progress, appliedAt, this.#applied);
  }
}
