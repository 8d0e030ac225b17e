/**
 * The compiled engine (assembly/, WebAssembly with SIMD and threads), and what it lets a host do.
 *
 * An instance belongs to one thread and works on the memory that all threads of an engine share. What it is given has been checked before, and nothing in it throws, but for a wait of
 * some seconds for a thread that has died (WebAssembly.RuntimeError).
 */
import { readFileSync } from 'node:fs';

/** Addresses are bytes from the beginning of the memory, nodes numbers from 0. */
export interface EngineCode {
  /** Reads dimensions and quantiser out of the header; once for each thread, before anything else. */
  attach(): void;
  scratchBytes(): number;
  useScratch(at: number): void;
  useMarks(at: number, nodes: number): void;
  /** f32[dimensions]: what is encoded, linked or searched for. */
  vectorOf(): number;
  /** Of an answer: node, label, owner (u32) and squared distance (f32), nearest first. */
  answers(): number;
  encode(vector: number, node: number): void;
  link(node: number, width: number, wanted: number): void;
  /** @param words 0 with `allow` 0: all owners */
  restrict(allow: number, words: number, exclude: number): void;
  /** The vector in the scratch is what `find` and `scan` look for from now on. */
  ask(): void;
  /** @param owners how many must be certain for the walk to stop before its width is full; 0: it does not */
  find(width: number, owners: number): number;
  refine(wanted: number): void;
  scan(first: number, end: number, limit: number, codeError: number, fineError: number, most: number): number;
  answeredCount(): number;
  mend(first: number, end: number): number;
  wipe(node: number): void;
  top(): bigint;
  setTop(node: number, level: number): void;
  /** A reader says that it begins, and that it has ended. */
  beginReading(reader: number): void;
  endReading(reader: number): void;
  /** Copies a list of `most` links, whole, behind the first word of `to`; returns how many there are. */
  copyList(list: number, most: number, to: number): number;
  /** A writer takes a list, to change it, and releases it. */
  takeList(list: number): void;
  releaseList(list: number): void;
  /** Frees what threads have held that are dead, the readers from `first` to before `end`. */
  recover(first: number, end: number): void;
  beginEpoch(): number;
  isQuiet(epoch: number): number;
  comparedCount(): bigint;
  followedCount(): bigint;
  readonly layout: EngineLayout;
}

/** Where things are in the header, and how large they are: assembly/memory.ts has the words. */
export type EngineLayout = Readonly<Record<(typeof layoutNames)[number], number>>;

const layoutNames = [
  'CAPACITY',
  'CODE_ERROR',
  'CODES',
  'DIMENSIONS',
  'EPOCH',
  'FINE_ERROR',
  'FINE_HEAD',
  'FINES',
  'FREE',
  'HAS_FINES',
  'LABELS',
  'LEVELS',
  'LINK_LISTS',
  'LINKED',
  'LINKS',
  'NEXT',
  'OWNERS',
  'QUANTISER',
  'READERS_MAX',
  'REMOVED',
  'RING',
  'RING_HEAD',
  'RING_TAIL',
  'SCRATCHES',
  'SEGMENT_BITS',
  'SEGMENTS_MAX',
  'STEP',
  'UPPER_LINKS',
  'UPPERS',
  'WIDTH_MAX',
] as const;

/** No node, label or owner. */
export const none = 0xffffffff;

let compiled: WebAssembly.Module | undefined;

/** Compiled once for each thread. @throws when the file is not beside this one: `npm run build` makes it */
export function engineModule(): WebAssembly.Module {
  compiled ??= new WebAssembly.Module(readFileSync(new URL('./engine.wasm', import.meta.url)));
  return compiled;
}

export function instantiate(memory: WebAssembly.Memory): EngineCode {
  const { exports } = new WebAssembly.Instance(engineModule(), { env: { memory } });
  const layout = Object.fromEntries(
    layoutNames.map((name) => [name, (exports[name] as { readonly value: number }).value]),
  ) as EngineLayout;
  return { ...(exports as Omit<EngineCode, 'layout'>), layout };
}
