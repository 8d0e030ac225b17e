/**
 * The graph of one lane of a gallery, in the graph thread, and its checkpoints.
 *
 * A cache: whatever fails here fails no write. Checkpoints are written one at a time; what a checkpoint holds is told by the sequence of the
 * gallery's changes that the graph had seen.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { removeGraphFile } from './checkpoint.js';
import { checkpointCodec, keys, type CheckpointRecord, type LaneRecord } from './codec.js';
import type { GraphAnswer, GraphCounts, GraphQuery } from './graph.js';
import type { GraphChange, GraphEngine, GraphOpened, GraphRerank, GraphSource } from './graph-messages.js';
import type { GraphThread } from './graph-thread.js';
import { graphKeyContext, type Keyring } from './keyring.js';
import { shredGraphFilesAside } from './quarantine.js';
import { keyBytes } from './sealing.js';
import type { Store, StoreReader } from './store.js';

export interface GalleryGraphOptions {
  readonly path: string;
  readonly checkpointEvery: number;
  readonly engine: GraphEngine;
  readonly rerank: GraphRerank;
  readonly exactMax: number;
  readonly recallMin: number;
  readonly readOnly: boolean;
  /** Null in a directory that is not encrypted. */
  readonly keyring: Keyring | null;
  /** For the graph's thread, which reads templates by itself. */
  readonly encryption: GraphSource['encryption'];
  readonly clock: () => number;
  readonly onWarning: (message: string, facts: object) => void;
}

/** Whose graph it is. */
export interface GraphOwner {
  readonly name: string;
  readonly number: number;
  readonly lane: LaneRecord;
}

export interface GraphParts {
  readonly owner: GraphOwner;
  readonly store: Store;
  readonly thread: GraphThread;
  readonly options: GalleryGraphOptions;
  /** Number of the gallery's last change. */
  readonly sequence: () => number;
  /** After each checkpoint: then the change log may be shortened. */
  readonly onSaved: () => Promise<void>;
}

/** @param isNew of a lane that is known to be empty */
export async function openGalleryGraph(
  parts: GraphParts,
  { isNew }: { readonly isNew: boolean },
): Promise<GalleryGraph> {
  const { owner, store, thread, options } = parts;
  const { path, readOnly, engine, rerank, exactMax, recallMin, encryption, keyring } = options;
  const { number, lane } = owner;
  const sequence = parts.sequence();
  const checkpoint = readCheckpoint(store, owner, sequence);
  const file = checkpoint?.file ?? null;
  const opened = await thread.open({
    graph: graphName(owner),
    engine,
    dimensions: lane.dimensions,
    exactMax,
    rerank,
    recallMin,
    sequence,
    templateCount: lane.templateCount,
    source: { path, readOnly, encryption, gallery: number, lane: lane.lane },
    isNew,
    file: checkpoint &&
      file && {
        sequence: checkpoint.sequence,
        name: file.name,
        sha256: file.sha256,
        ...(file.root && { root: file.root }),
        key: graphKeyOf(file, keyring),
      },
  });
  if (opened.warning !== null) {
    options.onWarning('a graph file cannot be used; the graph is built anew', {
      gallery: owner.name,
      reason: opened.warning,
    });
  }
  return new GalleryGraph(parts, checkpoint, opened);
}

function graphName({ number, lane }: Pick<GraphOwner, 'number' | 'lane'>): string {
  return `${number}/${lane.lane}`;
}

/** Null for a file in the clear. */
function graphKeyOf({ name, key }: NonNullable<CheckpointRecord['file']>, keyring: Keyring | null): Uint8Array | null {
  return keyring && key !== undefined ? keyring.unwrap(graphKeyContext(name), key) : null;
}

/** The newest checkpoint, unless it speaks of another gallery than this one has become. */
function readCheckpoint(reader: StoreReader, { number, lane }: GraphOwner, sequence: number): CheckpointRecord | null {
  const key = keys.checkpoint(number, lane.lane);
  const bytes = reader.get('checkpoints', key);
  if (!bytes) return null;
  const record = checkpointCodec.decode(key, bytes);
  const { file } = record;
  const fits = !file || (file.dimensions === lane.dimensions && file.space === lane.space);
  return fits && record.sequence <= sequence ? record : null;
}

export class GalleryGraph {
  readonly #parts: GraphParts;
  readonly #graph: string;
  readonly #openedFrom: GraphOpened['openedFrom'];
  #checkpoint: CheckpointRecord | null;
  /** False when its file was not used, as it is damaged or of another engine: then it is replaced, also when nothing has changed since. */
  #checkpointIsSound: boolean;
  /** Of the graph that the checkpoint holds: one that took over since is worth a new one, although nothing was written. */
  #checkpointRebuiltCount = 0;
  /** Sequence at which a checkpoint was last begun, so that a failing one is not tried again with every write. */
  #checkpointTriedAt: number;
  #checkpointing: Promise<void> | null = null;
  /** It is on its way out: a checkpoint that is waiting for its turn is not written any more. */
  #isDropped = false;

  constructor(parts: GraphParts, checkpoint: CheckpointRecord | null, opened: GraphOpened) {
    this.#parts = parts;
    this.#graph = graphName(parts.owner);
    this.#checkpoint = checkpoint;
    this.#checkpointTriedAt = checkpoint?.sequence ?? 0;
    this.#openedFrom = opened.openedFrom;
    this.#checkpointIsSound = !checkpoint?.file || opened.openedFrom === 'checkpoint';
  }

  /** In the graph thread. */
  get name(): string {
    return this.#graph;
  }

  get lane(): number {
    return this.#parts.owner.lane.lane;
  }

  get checkpoint(): CheckpointRecord | null {
    return this.#checkpoint;
  }

  get openedFrom(): GraphOpened['openedFrom'] {
    return this.#openedFrom;
  }

  search(query: GraphQuery): Promise<GraphAnswer> {
    return this.#parts.thread.search({ graph: this.#graph, query });
  }

  /** It is seen by every search that is called after. */
  change(change: GraphChange): void {
    this.#parts.thread.change(this.#graph, change);
  }

  counts(): Promise<GraphCounts> {
    return this.#parts.thread.call('counts', { graph: this.#graph });
  }

  /** Resolves when the graph holds everything that was written before. */
  async settle(): Promise<void> {
    await this.#parts.thread.call('settle', { graph: this.#graph });
  }

  /** Takes the graph out of memory; nothing may be asked of it after. */
  async drop(): Promise<void> {
    this.#isDropped = true;
    await this.#checkpointing?.catch(() => undefined);
    await this.#parts.thread.drop(this.#graph);
  }

  // ── Checkpoints ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Writes a checkpoint unless the newest one holds all that the graph does, or the graph goes. One at a time; a second call waits for the first. */
  saveNow(): Promise<void> {
    return this.#oneAtATime(async () => {
      if (!this.#isDropped) await this.#write();
    });
  }

  saveWhenDue(): void {
    if (this.#parts.sequence() - this.#checkpointTriedAt < this.#parts.options.checkpointEvery || this.#checkpointing)
      return;
    void this.saveOrWarn();
  }

  /** The graph is a cache, so that failing to save it never fails what set it off. */
  async saveOrWarn(): Promise<void> {
    try {
      await this.saveNow();
    } catch (error) {
      this.#parts.options.onWarning('a checkpoint failed; nothing is lost, the next opening takes longer', {
        gallery: this.#parts.owner.name,
        error,
      });
    }
  }

  /** Resolves when no checkpoint is under way. */
  async idle(): Promise<void> {
    await this.#checkpointing?.catch(() => undefined);
  }

  /**
   * The graph's file is replaced by one that holds nothing of what was erased before the call; that of a dropped one is removed by who drops it. False, and a warning, when it
   * is still there.
   */
  async replaceFile(): Promise<boolean> {
    const { options, owner, sequence: current } = this.#parts;
    const sequence = current();
    await shredGraphFilesAside(options.path, owner.number);
    try {
      while (!this.#isDropped && this.#checkpoint?.file && this.#checkpoint.sequence < sequence) {
        // One for all that wait: whoever was first writes it.
        await (this.#checkpointing?.catch(() => undefined) ?? this.saveNow());
      }
      return true;
    } catch (error) {
      options.onWarning('no graph file without the erased could be written; the old one is removed', {
        gallery: owner.name,
        error,
      });
    }
    try {
      await this.#removeFile(sequence);
      return true;
    } catch (error) {
      options.onWarning(
        'a graph file that holds somebody who was erased could not be removed; it is tried again at the next opening',
        { gallery: owner.name, error },
      );
      return false;
    }
  }

  /** For when there can be no newer one. The graph is built anew at the next opening. */
  #removeFile(sequence: number): Promise<void> {
    const { options, owner, store } = this.#parts;
    return this.#oneAtATime(async () => {
      const file = this.#checkpoint?.file;
      if (!file || (this.#checkpoint?.sequence ?? 0) >= sequence) return;
      // The file first: while it is there it is named, so that it is not forgotten.
      await removeGraphFile(options.path, file.name);
      this.#checkpoint = null;
      const { durable } = await store.write((writer) =>
        writer.remove('checkpoints', keys.checkpoint(owner.number, owner.lane.lane)),
      );
      await durable;
    });
  }

  async #oneAtATime(work: () => Promise<void>): Promise<void> {
    while (this.#checkpointing) await this.#checkpointing.catch(() => undefined);
    this.#checkpointing = work();
    try {
      await this.#checkpointing;
    } finally {
      this.#checkpointing = null;
    }
  }

  async #write(): Promise<void> {
    const { owner, store, thread, options, sequence: current } = this.#parts;
    const { number, lane } = owner;
    const { path, clock, keyring } = options;
    const sequence = current();
    this.#checkpointTriedAt = sequence;
    const before = this.#checkpoint;
    const { indexedCount, removedCount, engine, rebuiltCount } = await this.counts();
    const held = engine === 'hnsw' ? indexedCount + removedCount : 0;
    const holdsAll = before?.sequence === sequence && (before.file?.count ?? 0) >= held;
    if (holdsAll && this.#checkpointIsSound && this.#checkpointRebuiltCount === rebuiltCount) return;
    const name = `${number}-${sequence}-${randomUUID().slice(0, 8)}.${options.engine === 'hnswlib' ? 'hnsw' : 'graph'}`;
    const fileKey = keyring && randomBytes(keyBytes);
    const sealing = keyring && fileKey && { directory: keyring.directory, key: fileKey };
    const saved = await thread.call('save', { graph: this.#graph, path, name, sealing });
    const isFresh = saved.file?.name === name;
    const fresh = keyring && fileKey && keyring.wrap(graphKeyContext(name), fileKey);
    const wrapped = isFresh ? fresh : before?.file?.key;
    const record: CheckpointRecord = {
      sequence: saved.sequence,
      at: clock(),
      file: saved.file && { ...saved.file, space: lane.space, ...(wrapped && { key: wrapped }) },
    };
    const key = keys.checkpoint(number, lane.lane);
    try {
      const { durable } = await store.write((writer) => {
        writer.put('checkpoints', key, checkpointCodec.encode(key, record));
      });
      await durable;
    } catch (error) {
      // A file that nothing names is litter, with faces in it.
      if (saved.file && isFresh) await removeGraphFile(path, saved.file.name);
      throw error;
    }
    this.#checkpoint = record;
    this.#checkpointIsSound = true;
    this.#checkpointRebuiltCount = rebuiltCount;
    if (before?.file && before.file.name !== record.file?.name) await removeGraphFile(path, before.file.name);
    await thread.call('kept', { graph: this.#graph });
    await this.#parts.onSaved();
  }
}
