/**
 * Searches of one thread in a shared engine. Any number of threads, each with a reader's number of its own, while one writes.
 *
 * Distances here are approximate, and it is known by how much at most (`EngineMemory.errors`). So the nearest owners are answered as candidates: every template whose
 * distance may turn out to be among the k nearest owners' ones. Whoever has the exact vectors decides.
 */
import { none } from './engine-code.js';
import type { EngineMemory } from './engine-memory.js';
import { NearestOwners, type OwnerHit } from './nearest-owners.js';

/** A template that was found. `distance` is squared L2, within the engine's error. */
export type EngineHit = OwnerHit;

export interface EngineFilter {
  /** Owners that may be found: bit `owner % 32` of word `owner / 32`. Default all. */
  readonly allow?: Uint32Array | undefined;
  /** An owner who may not. */
  readonly exclude?: number | undefined;
}

export interface TemplateQuery extends EngineFilter {
  /** Shape [dimensions], of length 1. */
  readonly vector: Float32Array;
  /** Templates wanted. */
  readonly wanted: number;
  /** Templates that the walk keeps, at least `wanted`: larger finds more of the nearest and takes longer. */
  readonly width: number;
}

export interface OwnerQuery extends EngineFilter {
  /** Shape [dimensions], of length 1. */
  readonly vector: Float32Array;
  /** Distinct owners wanted. */
  readonly k: number;
}

/** Finds that are compared by their fine vectors, at least: rounding to bytes seldom moves the nearest farther down. */
const refinedMin = 16;
/** Candidates of a walk, beyond the owners wanted: those are only worth as much as the walk. */
const candidatesExtra = 32;
/** Answers of a scan that are looked at together, before the limit is drawn closer. */
const answersAtOnce = 256;

export class EngineReader {
  readonly #engine: EngineMemory;
  readonly #reader: number;
  #allowAt = 0;
  #allowWords = 0;

  /** @param reader from 0, one for each thread, below the layout's READERS_MAX */
  constructor(engine: EngineMemory, reader: number) {
    this.#engine = engine;
    this.#reader = reader;
  }

  /** Templates, nearest first. @throws LIMIT_EXCEEDED when there is no memory left to search with */
  search({ vector, wanted, width, ...filter }: TemplateQuery): readonly EngineHit[] {
    return this.#reading(vector, filter, () => {
      const { code } = this.#engine;
      const found = code.find(Math.min(code.layout.WIDTH_MAX, Math.max(wanted, width)), 0);
      const count = Math.min(wanted, found);
      code.refine(count);
      return this.#answers(count);
    });
  }

  /**
   * Candidates for the k nearest owners by a walk, nearest first. It ends where nothing nearer is to be expected (assembly/certain.ts), or when its width is full; where an owner's
   * templates fill the width it is doubled, until k owners are known.
   * Null when the walk cannot tell: the graph is exhausted before, or would have to be walked so far that a scan is the shorter way.
   */
  nearest({ vector, k, width, ...filter }: OwnerQuery & { readonly width: number }): readonly EngineHit[] | null {
    return this.#reading(vector, filter, () => {
      const { code, next } = this.#engine;
      for (let wide = Math.max(width, 2 * k, k + 8); ; wide *= 2) {
        if (wide > code.layout.WIDTH_MAX || wide > next / 4) return null;
        const found = code.find(wide, k);
        for (let wanted = Math.max(refinedMin, 2 * k); ; wanted *= 4) {
          const count = Math.min(wanted, found);
          code.refine(count);
          const candidates = this.#candidates(this.#answers(count), k);
          if (candidates) return candidates;
          if (count === found) break;
        }
        if (found < wide) return null;
      }
    });
  }

  /** Candidates for the k nearest owners of all by comparing every template: all that may be among them, in any order. */
  scan({ vector, k, ...filter }: OwnerQuery): readonly EngineHit[] {
    return this.#reading(vector, filter, () => this.#scan(new NearestOwners(k), 0, this.#engine.next));
  }

  /** Offers the templates of the nodes from `first` to before `end` that may be nearer than the worst so far. */
  scanPart(
    { vector, ...filter }: Omit<OwnerQuery, 'k'>,
    nearest: NearestOwners,
    first: number,
    end: number,
  ): readonly EngineHit[] {
    return this.#reading(vector, filter, () => this.#scan(nearest, first, Math.min(end, this.#engine.next)));
  }

  /** To be called before the code is given work. */
  prepare(): void {
    this.#engine.prepare(this.#reader);
  }

  /** Puts a vector where the code finds it. */
  give(vector: Float32Array): void {
    const at = this.#engine.code.vectorOf() / 4;
    const { floats, dimensions } = this.#engine;
    floats.fill(0, at + vector.length, at + dimensions);
    floats.set(vector, at);
  }

  #reading<T>(vector: Float32Array, { allow, exclude = none }: EngineFilter, work: () => T): T {
    const { code } = this.#engine;
    this.prepare();
    this.give(vector);
    this.#restrict(allow, exclude);
    code.ask();
    code.beginReading(this.#reader);
    try {
      return work();
    } finally {
      code.endReading(this.#reader);
    }
  }

  /** As many answers as may turn out to be of the k nearest owners; undefined while fewer are known. @param answers nearest first */
  #candidates(answers: readonly EngineHit[], k: number): readonly EngineHit[] | undefined {
    const owners = new Set<number>();
    let count = 0;
    while (owners.size < k && count < answers.length) owners.add((answers[count++] as EngineHit).owner);
    if (owners.size < k) return undefined;
    const limit = (answers[count - 1] as EngineHit).distance + 2 * this.#error;
    const most = Math.min(answers.length, count + candidatesExtra);
    while (count < most && (answers[count] as EngineHit).distance <= limit) count++;
    return answers.slice(0, count);
  }

  #scan(nearest: NearestOwners, first: number, end: number): readonly EngineHit[] {
    const { code } = this.#engine;
    const error = this.#error;
    const { code: codeError, fine: fineError } = this.#engine.errors;
    const candidates: EngineHit[] = [];
    for (let at = first; at < end;) {
      // The k owners known so far are that near at most.
      at = code.scan(at, end, nearest.worst + error, codeError, fineError, answersAtOnce);
      for (const hit of this.#answers(code.answeredCount())) {
        if (hit.distance > nearest.worst + 2 * error) continue;
        nearest.offer(hit.owner, hit.label, hit.distance);
        candidates.push(hit);
      }
    }
    return candidates.filter(({ distance }) => distance <= nearest.worst + 2 * error);
  }

  /** Of the distances in answers. */
  get #error(): number {
    const { code, fine } = this.#engine.errors;
    return this.#engine.withFines ? fine : code;
  }

  #answers(count: number): EngineHit[] {
    const at = this.#engine.code.answers() / 4;
    const { words, floats } = this.#engine;
    const hits: EngineHit[] = [];
    for (let i = at; i < at + 4 * count; i += 4) {
      const label = words[i + 1] as number;
      // Whoever was removed meanwhile has none.
      if (label !== none) hits.push({ label, owner: words[i + 2] as number, distance: floats[i + 3] as number });
    }
    return hits;
  }

  #restrict(allow: Uint32Array | undefined, exclude: number): void {
    if (allow && allow.length > this.#allowWords) {
      this.#allowAt = this.#engine.allocate(4 * allow.length);
      this.#allowWords = allow.length;
    }
    if (allow) this.#engine.words.set(allow, this.#allowAt / 4);
    // An empty set allows nobody; an address of 0 would be everybody.
    this.#engine.code.restrict(allow ? Math.max(1, this.#allowAt) : 0, allow?.length ?? 0, exclude);
  }
}
