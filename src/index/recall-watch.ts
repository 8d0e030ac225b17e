/**
 * The recall watchdog: takes some of the queries that a graph answers, compares them with every template in the background, and says when
 * the graph has become too bad to keep.
 *
 * A query is compared a few rows at a time, and then asked of the graph again, so that both answers are of the same moment: what was
 * added meanwhile can only help the graph, and a true nearest that was removed meanwhile makes the sample void. What is judged is
 * the graph, so that a caller who asks for a narrow walk is no reason to build it anew. A bad graph is built anew once; when that does not help,
 * it is said once, and not tried again before the figure has been good.
 */
import { NearestOwners } from '../engine/nearest-owners.js';
import { exactHits } from './exact-hits.js';
import { isAllowed, type GraphHit, type GraphQuery } from './graph.js';
import type { TemplateTable } from './template-table.js';

/** What a graph is compared with: all templates, in rows that are compared a few at a time. */
export interface WatchedTemplates {
  readonly dimensions: number;
  readonly rowCount: () => number;
  readonly has: (label: number) => boolean;
  /** Offers what is near in the rows from <= row < to. */
  readonly compare: (query: GraphQuery, nearest: NearestOwners, from: number, to: number) => void;
  /** The exact vector; undefined when it is gone. */
  readonly vectorOf: (owner: number, label: number) => Float32Array | undefined;
}

export function watchedTable(table: TemplateTable): WatchedTemplates {
  return {
    dimensions: table.dimensions,
    rowCount: () => table.rowCount,
    has: (label) => table.has(label),
    compare: (query, nearest, from, to) => table.scanRows(query.probes, nearest, query, from, to),
    vectorOf: (_, label) => table.vectorOf(label),
  };
}

export interface RecallWatchOptions {
  /** Share of the samples of a window whose nearest owner the graph must have found first. Larger builds anew more often. */
  readonly recallMin: number;
  /** Samples that are kept, and how many there must be for a judgement. Larger is surer and slower. */
  readonly windowSamples: number;
  /** One query in so many is compared. */
  readonly oneIn: number;
  /** Largest share of the thread's time that comparing takes. */
  readonly timeShareMax: number;
}

export const recallWatchDefaults: RecallWatchOptions = {
  recallMin: 0.9,
  windowSamples: 200,
  oneIn: 10,
  timeShareMax: 0.02,
};

/** `rebuild` and `hopeless` (building anew has not helped) are said once. */
export type RecallVerdict = 'fine' | 'rebuild' | 'hopeless';

/** What is said of a verdict. */
export const recallWarnings: Readonly<Record<Exclude<RecallVerdict, 'fine'>, string>> = {
  rebuild: 'the graph misses too many of the nearest; it is built anew',
  hopeless: 'the graph misses too many of the nearest, also after it was built anew; search wider or exactly',
};

/** Width of the walk that is judged, at least; the default of a search. */
const efMin = 128;
/** Rows that are compared between two looks at the clock. */
const rowsAtOnce = 512;

interface Sample {
  readonly query: GraphQuery;
  readonly nearest: NearestOwners;
  row: number;
  spentMs: number;
}

/** A class because the window, the sample under way and what was already tried change together. */
export class RecallWatch {
  readonly #templates: WatchedTemplates;
  readonly #ask: (query: GraphQuery) => GraphHit | undefined;
  readonly #options: RecallWatchOptions;
  /** Oldest first: whether the graph was right. */
  readonly #window: boolean[] = [];
  #queryCount = 0;
  #restUntilMs = 0;
  #sample: Sample | null = null;
  #tried: 'nothing' | 'rebuild' | 'everything' = 'nothing';

  /** @param ask what the graph answers first */
  constructor(
    templates: WatchedTemplates,
    ask: (query: GraphQuery) => GraphHit | undefined,
    options: RecallWatchOptions = recallWatchDefaults,
  ) {
    this.#templates = templates;
    this.#ask = ask;
    this.#options = options;
  }

  /** Whether a comparison is under way. */
  get isBusy(): boolean {
    return this.#sample !== null;
  }

  get sampleCount(): number {
    return this.#window.length;
  }

  /** Null without samples. */
  get recall(): number | null {
    return this.#window.length === 0 ? null : this.#window.filter(Boolean).length / this.#window.length;
  }

  /** To be told of every query that the graph has answered. */
  offer(query: GraphQuery, nowMs: number): void {
    if (this.#sample || nowMs < this.#restUntilMs || this.#queryCount++ % this.#options.oneIn !== 0) return;
    const probes = query.probes.slice(0, this.#templates.dimensions);
    const { allow, exclude, k } = query;
    const ef = Math.max(query.ef, efMin);
    this.#sample = {
      query: { probes, allow, exclude, k, ef, exact: false },
      nearest: new NearestOwners(1),
      row: 0,
      spentMs: 0,
    };
  }

  /** Goes on comparing for so long. */
  work(durationMs: number): RecallVerdict {
    const sample = this.#sample;
    if (!sample) return 'fine';
    const startedMs = performance.now();
    const { query, nearest } = sample;
    while (sample.row < this.#templates.rowCount() && performance.now() - startedMs < durationMs) {
      this.#templates.compare(query, nearest, sample.row, sample.row + rowsAtOnce);
      sample.row += rowsAtOnce;
    }
    const isDone = sample.row >= this.#templates.rowCount();
    const found = isDone ? this.#ask(query) : undefined;
    const nowMs = performance.now();
    sample.spentMs += nowMs - startedMs;
    if (!isDone) return 'fine';
    this.#sample = null;
    this.#restUntilMs = nowMs + sample.spentMs * (1 / this.#options.timeShareMax - 1);
    const [first] = nearest.hits;
    if (!first || !this.#templates.has(first.label)) return 'fine';
    if (query.allow && !isAllowed(query.allow, first.owner)) return 'fine';
    const [truth] = exactHits([first], query.probes, ({ owner, label }) => this.#templates.vectorOf(owner, label));
    return this.#judge(found !== undefined && truth !== undefined && found.distance <= truth.distance);
  }

  /** The graph is another one: what was seen of the old one says nothing. */
  restart(): void {
    this.#window.length = 0;
    this.#sample = null;
  }

  #judge(isRight: boolean): RecallVerdict {
    const { windowSamples, recallMin } = this.#options;
    this.#window.push(isRight);
    if (this.#window.length > windowSamples) this.#window.shift();
    if (this.#window.length < windowSamples) return 'fine';
    const recall = this.recall ?? 1;
    // Well above the bound, so that a figure that wavers around it does not build anew each time.
    if (recall >= (1 + recallMin) / 2) this.#tried = 'nothing';
    if (recall >= recallMin || this.#tried === 'everything') return 'fine';
    const verdict = this.#tried === 'nothing' ? 'rebuild' : 'hopeless';
    this.#tried = this.#tried === 'nothing' ? 'rebuild' : 'everything';
    return verdict;
  }
}
