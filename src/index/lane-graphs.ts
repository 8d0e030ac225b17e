/**
 * The graphs of a gallery, one a lane: what is asked of all of them at once.
 */
import { assertInvariant, HarmonidError } from '../errors.js';
import { removeGraphFile } from './checkpoint.js';
import { keyParts, ranges, type GalleryRecord, type LaneRecord } from './codec.js';
import { openGalleryGraph, type GalleryGraph, type GalleryGraphOptions } from './gallery-graph.js';
import type { GraphChange } from './graph-messages.js';
import type { GraphThread } from './graph-thread.js';
import { clearLane, graphFileOf } from './lane-reads.js';
import { lanesOf } from './lanes.js';
import { unhurried } from '../threads/unhurried.js';
import type { Store } from './store.js';

export interface LaneGraphsParts {
  readonly name: string;
  /** The gallery's record as it is now. */
  readonly record: () => GalleryRecord;
  readonly store: Store;
  readonly thread: GraphThread;
  readonly options: GalleryGraphOptions;
}

/** Change-log entries that one transaction prunes. */
const pruneBatch = 250;

export class LaneGraphs {
  readonly #parts: LaneGraphsParts;
  /** By lane. */
  readonly #graphs = new Map<number, GalleryGraph>();
  #areDropped = false;

  constructor(parts: LaneGraphsParts) {
    this.#parts = parts;
  }

  get #number(): number {
    return this.#parts.record().number;
  }

  /** @param isNew of a lane that is known to be empty */
  async open(lane: LaneRecord, { isNew }: { readonly isNew: boolean }): Promise<void> {
    const { name, record, store, thread, options } = this.#parts;
    const graph = await openGalleryGraph(
      {
        owner: { name, number: this.#number, lane },
        store,
        thread,
        options,
        sequence: () => record().sequence,
        onSaved: () => this.#pruneChanges(),
      },
      { isNew },
    );
    this.#graphs.set(lane.lane, graph);
  }

  /** @throws GALLERY_NOT_FOUND for whoever still holds a gallery that was deleted */
  of({ lane }: LaneRecord): GalleryGraph {
    const graph = this.#graphs.get(lane);
    if (!graph && this.#areDropped) {
      const { name } = this.#parts;
      throw new HarmonidError('GALLERY_NOT_FOUND', `gallery "${name}" was deleted`, { details: { gallery: name } });
    }
    assertInvariant(graph, 'every lane of a gallery has a graph');
    return graph;
  }

  /** Tells each lane's graph its part of a commit. */
  change(changeOf: (lane: LaneRecord) => GraphChange): void {
    for (const lane of lanesOf(this.#parts.record())) this.of(lane).change(changeOf(lane));
    for (const graph of this.#graphs.values()) graph.saveWhenDue();
  }

  /** Resolves when no checkpoint is under way. */
  async idle(): Promise<void> {
    for (const graph of this.#graphs.values()) await graph.idle();
  }

  /** Resolves when the graphs hold everything that was written before. */
  async settle(): Promise<void> {
    for (const graph of this.#graphs.values()) await graph.settle();
  }

  /** Writes a checkpoint of every graph unless the newest one holds all that it does. */
  async save(): Promise<void> {
    for (const graph of this.#graphs.values()) await graph.saveNow();
  }

  async saveOrWarn(): Promise<void> {
    for (const graph of this.#graphs.values()) await graph.saveOrWarn();
  }

  /** Every graph's file is replaced by one that holds nothing of what was erased before the call. False, and a warning, when one is still there. */
  async replaceFiles(): Promise<boolean> {
    let areReplaced = true;
    for (const graph of this.#graphs.values()) areReplaced = (await graph.replaceFile()) && areReplaced;
    return areReplaced;
  }

  /** Takes a lane's graph out of memory, if there is one. */
  async drop(lane: number): Promise<void> {
    const graph = this.#graphs.get(lane);
    this.#graphs.delete(lane);
    await graph?.drop();
  }

  async dropAll(): Promise<void> {
    this.#areDropped = true;
    for (const lane of this.#graphs.keys()) await this.drop(lane);
  }

  /** Removes everything of a lane that its gallery does not have any more. */
  async clear(lane: number): Promise<void> {
    const { store, options } = this.#parts;
    await this.drop(lane);
    const file = graphFileOf(store, this.#number, lane);
    // While it is there it is named, so that it is not forgotten.
    if (file !== undefined) await removeGraphFile(options.path, file);
    await clearLane(store, this.#number, lane);
  }

  /** Lanes that were dropped when the process died. At opening. */
  async clearDropped(): Promise<void> {
    for (const key of Array.from(this.#parts.store.keys('meta', ...ranges.drops()))) {
      const { gallery, lane } = keyParts.drop(key);
      if (gallery === this.#number) await this.clear(lane);
    }
  }

  /** Whether it is the name of one of them in the graph thread. */
  has(name: string): boolean {
    return Array.from(this.#graphs.values()).some((graph) => graph.name === name);
  }

  get files(): readonly string[] {
    return Array.from(this.#graphs.values()).flatMap(({ checkpoint }) => checkpoint?.file?.name ?? []);
  }

  /** Drops change-log entries that every checkpoint includes, a few at a time. */
  async #pruneChanges(): Promise<void> {
    const sequences = Array.from(this.#graphs.values()).flatMap(({ checkpoint }) => checkpoint?.sequence ?? []);
    if (sequences.length === 0) return;
    const sequence = Math.min(...sequences);
    for (let pruned = pruneBatch; pruned === pruneBatch;) {
      const { value } = await unhurried(() =>
        this.#parts.store.write((writer) => {
          let count = 0;
          for (const key of writer.keys('changes', ...ranges.changesTo(this.#number, sequence))) {
            if (count === pruneBatch) break;
            writer.remove('changes', key);
            count++;
          }
          return count;
        }),
      );
      pruned = value;
    }
  }
}
