/**
 * One gallery: its store, its graph, and a single writer.
 *
 * Promises: what a write returned is seen by every search that begins after; a person who was erased is in no answer that begins after;
 * answers name identities that exist, nearest first, and are complete. The store is the truth; the graph is told of each commit in order.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { assertInvariant, HarmonidError, throwIfAborted } from '../errors.js';
import { squaredDistance, type UnitVector } from '../vector.js';
import { byDistance, judge, rankCandidates } from './candidates.js';
import { removeGraphFile } from './checkpoint.js';
import { checkpointCodec, keys, ranges, type CheckpointRecord, type GalleryRecord } from './codec.js';
import {
  beginEdit,
  changeSettings,
  endEdit,
  enroll,
  eraseIdentity,
  findAnswer,
  finishErasure,
  remember,
  removeTemplate,
  spaceMismatch,
  updateIdentity,
  type GalleryEdit,
  type IdentityUpdate,
  type OwnedCandidate,
  type Remembered,
} from './gallery-changes.js';
import { findReceipt } from './erasure-receipt.js';
import type { GraphHit, OwnerSet } from './graph.js';
import type { GraphChange, GraphOpened, GraphThread } from './graph-thread.js';
import { openGroupSets, type GroupSets } from './group-sets.js';
import type { EnrollDraft, Enrolment, GalleryChange, SearchAnswer, SearchRequest, VerifyAnswer } from './index-api.js';
import {
  asGallery,
  asIdentity,
  exportFrom,
  findIdentity,
  findOwner,
  identitiesAfter,
  identityNotFound,
  templatesOf,
} from './identity-reads.js';
import { graphKeyContext, type Keyring } from './keyring.js';
import { keyBytes } from './sealing.js';
import { findAside, shredGraphFilesAside } from './quarantine.js';
import type { Candidate, EraseAnswer, Gallery as GalleryView, GalleryStats, Identity, Template } from './records.js';
import type { Store } from './store.js';
import type { Scrubber } from './scrubber.js';
import { batchOperationsMax, openWriteQueue, type WriteQueue } from './write-queue.js';

export interface GalleryOptions {
  readonly path: string;
  readonly durability: 'flushed' | 'committed';
  readonly checkpointEvery: number;
  /** Null in a directory that is not encrypted. */
  readonly keyring: Keyring | null;
  readonly scrubber: Scrubber;
  readonly clock: () => number;
  readonly onWarning: (message: string, facts: object) => void;
}

/** Candidates that a duplicate check asks for, per face, and how widely it walks: wider than a search, as it decides for good. */
const duplicateSearch = { k: 5, ef: 256 };
/** Width of a search that names none. */
const defaultEf = 128;
/** Below this many members a page of a group is gathered from them; above, identities are read in order. */
const gatherMax = 2_000;
/** Change-log entries that one transaction prunes. */
const pruneBatch = 1_000;

export class Gallery {
  readonly name: string;
  readonly #store: Store;
  readonly #thread: GraphThread;
  readonly #options: GalleryOptions;
  readonly #queue: WriteQueue;
  readonly #openedFrom: GraphOpened['openedFrom'];
  readonly #groups: GroupSets;
  #record: GalleryRecord;
  #checkpoint: CheckpointRecord | null;
  /** False when its file could not be used: then it is replaced, also when nothing has changed since. */
  #checkpointIsSound: boolean;
  /** Of the graph that the checkpoint holds: one that took over since is worth a new one, although nothing was written. */
  #checkpointRebuiltCount = 0;
  /** Sequence at which a checkpoint was last begun, so that a failing one is not tried again with every write. */
  #checkpointTriedAt: number;
  #checkpointing: Promise<void> | null = null;
  #erasedCount = 0;
  #isRetired = false;
  /** The commit under way, settled when the graph has been told of it. */
  #committing: Promise<void> | null = null;

  constructor(
    name: string,
    record: GalleryRecord,
    checkpoint: CheckpointRecord | null,
    opened: GraphOpened,
    store: Store,
    thread: GraphThread,
    options: GalleryOptions,
  ) {
    this.name = name;
    this.#record = record;
    this.#checkpoint = checkpoint;
    this.#checkpointTriedAt = checkpoint?.sequence ?? 0;
    this.#openedFrom = opened.openedFrom;
    this.#checkpointIsSound = opened.warning === null;
    this.#store = store;
    this.#thread = thread;
    this.#options = options;
    this.#groups = openGroupSets(store, record.number);
    this.#queue = openWriteQueue({
      commit: (apply) => this.#commit(apply),
      threshold: () => this.#record.threshold,
      durability: options.durability,
    });
  }

  get view(): GalleryView {
    return asGallery(this.name, this.#record);
  }

  get number(): number {
    return this.#record.number;
  }

  get record(): GalleryRecord {
    return this.#record;
  }

  // ── Writes ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  async enroll(draft: EnrollDraft): Promise<Enrolment> {
    const { identity, templates } = draft;
    const wrong = templates.find(({ space }) => space !== this.#record.space);
    if (wrong) throw spaceMismatch(this.name, this.#record.space, wrong.space);
    const checked = (draft.duplicates ?? this.#record.duplicates) !== 'ignore';
    let duplicates: readonly OwnedCandidate[] = [];
    return this.#queue.run({
      begin: () => throwIfAborted(draft.signal),
      faces: { identity, vectors: templates.map(({ vector }) => vector), checked },
      prepare: async () => {
        if (checked && !(draft.idempotency && this.#findEnrolment(draft.idempotency))) {
          duplicates = await this.#findDuplicates(
            identity,
            templates.map(({ vector }) => vector),
          );
        }
      },
      apply: (edit) => enroll(edit, draft, duplicates),
    });
  }

  /**
   * The answer to a request that was answered before; it is durable when it is given. LMDB shows a commit a moment before its last flush has
   * ended, so that whoever retries while the first request waits for it would be answered too soon: an empty write waits for the commit.
   */
  async replay(
    idempotency: { readonly key: string; readonly digest: string },
    { isDurable }: { readonly isDurable: boolean },
  ): Promise<Enrolment | undefined> {
    const found = this.#findEnrolment(idempotency);
    if (found && !isDurable) await this.#queue.run({ apply: () => null });
    return found;
  }

  #findEnrolment(idempotency: { readonly key: string; readonly digest: string }): Enrolment | undefined {
    const gallery = { name: this.name, record: this.#record };
    return findAnswer(this.#store, gallery, idempotency, this.#options.clock());
  }

  updateSettings(change: GalleryChange): Promise<GalleryView> {
    return this.#queue.run({ alone: true, apply: (edit) => changeSettings(edit, change) });
  }

  updateIdentity(update: IdentityUpdate): Promise<Identity> {
    return this.#queue.run({ apply: (edit) => updateIdentity(edit, update) });
  }

  removeTemplate(identity: string, template: number): Promise<Identity> {
    return this.#queue.run({ removes: true, apply: (edit) => removeTemplate(edit, identity, template) });
  }

  /** The person's key is destroyed first, so that whatever happens after, nothing opens any more; then the records go, then their bytes. */
  async eraseIdentity(identity: string, prove: boolean): Promise<EraseAnswer> {
    const { keyring, scrubber } = this.#options;
    let known: Remembered | undefined;
    const { erasure, sequenceThen } = await this.#queue.run({
      removes: true,
      destroys: keyring !== null,
      prepare: async () => {
        if (!keyring) return;
        known = remember(this.#store, this.#record, identity);
        const aside = findAside(this.#store, this.number, identity, known?.owner ?? null);
        for (const owner of new Set([known?.owner, ...aside.map((entry) => entry.owner)])) {
          if (owner !== undefined && owner !== null) await keyring.destroy(this.number, owner);
        }
      },
      apply: (edit) => ({ erasure: eraseIdentity(edit, identity, known), sequenceThen: edit.record.sequence }),
    });
    if (!erasure) {
      const receipt = findReceipt(this.#store, this.number, identity);
      return {
        existed: false,
        templatesErased: 0,
        sequence: sequenceThen,
        receipt,
        overwritten: true,
        proof: null,
      };
    }
    const overwritten = (await this.replaceGraphFile()) && (await scrubber.overwrite());
    const found = prove ? await scrubber.search(erasure.vectors) : null;
    const { templatesErased, sequence, receipt } = erasure;
    const { owner } = erasure;
    const keyDestroyed = keyring && owner !== null ? keyring.keyOf(this.number, owner) === null : null;
    return {
      existed: true,
      templatesErased,
      sequence,
      receipt,
      overwritten,
      proof: found && { ...found, keyDestroyed },
    };
  }

  /** Erasures whose keys were destroyed before the process died. At opening, before anything else. */
  async finishErasures(): Promise<void> {
    const { keyring } = this.#options;
    for (const owner of keyring?.destroyed(this.number, this.#record.nextOwner) ?? []) {
      const [left] = this.#store.keys('owners', ...ranges.ownerOf(this.number, owner));
      if (left) await this.#queue.run({ removes: true, apply: (edit) => finishErasure(edit, owner) });
    }
  }

  /** The graph's file is replaced by one that holds nothing of what was erased before the call. False, and a warning, when it is still there. */
  async replaceGraphFile(): Promise<boolean> {
    const { sequence } = this.#record;
    await shredGraphFilesAside(this.#options.path, this.number);
    try {
      while (this.#checkpoint?.file && this.#checkpoint.sequence < sequence) {
        // One for all that wait: whoever was first writes it.
        await (this.#checkpointing?.catch(() => undefined) ?? this.checkpoint());
      }
      return true;
    } catch (error) {
      this.#options.onWarning('no graph file without the erased could be written; the old one is removed', {
        gallery: this.name,
        error,
      });
    }
    try {
      await this.#dropCheckpoint(sequence);
      return true;
    } catch (error) {
      this.#options.onWarning(
        'a graph file that holds somebody who was erased could not be removed; it is tried again at the next opening',
        {
          gallery: this.name,
          error,
        },
      );
      return false;
    }
  }

  /** For when there can be no newer one. The graph is built anew at the next opening. */
  #dropCheckpoint(sequence: number): Promise<void> {
    return this.#oneAtATime(async () => {
      const file = this.#checkpoint?.file;
      if (!file || (this.#checkpoint?.sequence ?? 0) >= sequence) return;
      // The file first: while it is there it is named, so that it is not forgotten.
      await removeGraphFile(this.#options.path, file.name);
      this.#checkpoint = null;
      const { durable } = await this.#store.write((writer) =>
        writer.remove('checkpoints', keys.checkpoint(this.number)),
      );
      await durable;
    });
  }

  /** Other identities within the threshold of any of the vectors, each at its nearest. */
  async #findDuplicates(identity: string, vectors: readonly UnitVector[]): Promise<readonly OwnedCandidate[]> {
    const probes = new Float32Array(vectors.length * this.#record.dimensions);
    vectors.forEach((vector, i) => probes.set(vector, i * this.#record.dimensions));
    const exclude = findIdentity(this.#store, this.#record, identity)?.owner;
    const query = { probes, exclude, exact: false, ...duplicateSearch };
    const { hits } = await this.#thread.call('search', { gallery: this.number, query });
    const nearest = new Map<number, GraphHit>();
    for (const hit of hits.flat()) {
      if (hit.distance > this.#record.threshold) continue;
      const known = nearest.get(hit.owner);
      if (!known || hit.distance < known.distance) nearest.set(hit.owner, hit);
    }
    // Nothing is erased meanwhile: the caller is the single writer.
    return [...nearest.values()]
      .flatMap((hit) => {
        const candidate = this.#candidate(hit);
        return candidate ? [{ owner: hit.owner, candidate }] : [];
      })
      .toSorted((one, other) => byDistance(one.candidate, other.candidate));
  }

  /** One transaction of the queue; when it resolves, reads and the graph have it. */
  async #commit(apply: (edit: GalleryEdit) => void): Promise<{ durable: Promise<void> }> {
    const commit = this.#commitNow(apply);
    this.#committing = commit.then(
      () => undefined,
      () => undefined,
    );
    try {
      return await commit;
    } finally {
      this.#committing = null;
    }
  }

  async #commitNow(apply: (edit: GalleryEdit) => void): Promise<{ durable: Promise<void> }> {
    if (this.#isRetired) {
      throw new HarmonidError('GALLERY_NOT_FOUND', `gallery "${this.name}" is being deleted`, {
        details: { gallery: this.name },
      });
    }
    const { keyring } = this.#options;
    await keyring?.reserve(this.number, this.#record.nextOwner + batchOperationsMax);
    const { value: edit, durable } = await this.#store.write((writer) => {
      const begun = beginEdit(writer, this.name, this.#record, this.#options.clock());
      apply(begun);
      if (begun.record !== this.#record) endEdit(begun);
      return begun;
    });
    this.#record = edit.record;
    this.#erasedCount += edit.erasedCount;
    for (const { owner, groups } of edit.regrouped) this.#groups.regroup(owner, groups);
    this.#thread.change(this.number, graphChange(edit, this.#record.dimensions));
    this.#checkpointWhenDue();
    return { durable };
  }

  /** Resolves when all writes asked for are done, and a checkpoint that they set off. */
  async drained(): Promise<void> {
    await this.#queue.drained();
    await this.#checkpointing?.catch(() => undefined);
  }

  /** Takes it back: the gallery stays. */
  reinstate(): void {
    this.#isRetired = false;
  }

  /** Refuses every write from now on, and resolves when those under way are done. */
  async retire(): Promise<void> {
    this.#isRetired = true;
    await this.drained();
  }

  // ── Searches ───────────────────────────────────────────────────────────────────────────────────────────────────────

  async search(request: SearchRequest): Promise<SearchAnswer> {
    const { space, dimensions, threshold: ownThreshold, margin } = this.#record;
    if (request.space !== space) throw spaceMismatch(this.name, space, request.space);
    assertInvariant(request.probe.length === dimensions, 'a probe of the space has its dimensions');
    throwIfAborted(request.signal);
    const threshold = request.threshold ?? ownThreshold;
    // The runner-up decides between match and ambiguous, also when only one candidate is wanted.
    const k = Math.max(2, request.k);
    const { exact, ef } = request;
    for (;;) {
      const allow: OwnerSet | undefined = request.groups && this.#groups.setOf(request.groups, this.#record.nextOwner);
      const erasedBefore = this.#erasedCount;
      const query = { probes: request.probe, k, allow, exact, ef };
      const answer = await this.#thread.call('search', { gallery: this.number, query });
      throwIfAborted(request.signal);
      const hits = answer.hits[0] ?? [];
      const candidates = hits.flatMap((hit) => this.#candidate(hit) ?? []);
      // Somebody was erased while the graph was searched: ask again, so that the answer is complete without them. A commit can be read
      // a moment before the graph is told of it; then that moment is waited for.
      if (candidates.length < hits.length) {
        const committing = this.#committing;
        assertInvariant(
          committing !== null || this.#erasedCount > erasedBefore,
          'an owner in the graph is an identity in the store',
        );
        await committing;
        continue;
      }
      const ranked = rankCandidates(candidates);
      return {
        ...judge(ranked, threshold, margin),
        candidates: ranked.slice(0, request.k),
        threshold,
        exact: answer.exact,
      };
    }
  }

  verify(request: {
    space: string;
    identity: string;
    probe: UnitVector;
    threshold?: number | undefined;
  }): VerifyAnswer {
    const { space, threshold: ownThreshold } = this.#record;
    if (request.space !== space) throw spaceMismatch(this.name, space, request.space);
    const found = findIdentity(this.#store, this.#record, request.identity);
    if (!found) throw identityNotFound(this.name, request.identity);
    const threshold = request.threshold ?? ownThreshold;
    let nearest: { readonly template: number; readonly distance: number } | undefined;
    for (const stored of templatesOf(this.#store, this.#record, found.owner)) {
      const distance = squaredDistance(request.probe, stored.record.vector);
      if (!nearest || distance < nearest.distance) nearest = { template: stored.template, distance };
    }
    if (!nearest) {
      throw new HarmonidError(
        'TEMPLATE_NOT_FOUND',
        `identity "${request.identity}" of gallery "${this.name}" has no templates to verify against`,
        { details: { gallery: this.name, identity: request.identity } },
      );
    }
    return { decision: nearest.distance <= threshold ? 'match' : 'no-match', ...nearest, threshold };
  }

  /** Undefined when the owner was erased after the graph was asked. */
  #candidate({ owner, label: template, distance }: GraphHit): Candidate | undefined {
    const found = findOwner(this.#store, this.#record, owner);
    return found && { identity: found.identity, label: found.label, groups: found.groups, distance, template };
  }

  /** The nearest template of each probe, by the graph as searches walk it, or by comparing with all. */
  async nearest(probes: Float32Array, by: 'graph' | 'exact'): Promise<readonly (readonly GraphHit[])[]> {
    const query = { probes, k: 1, exact: by === 'exact', ef: defaultEf };
    return (await this.#thread.call('search', { gallery: this.number, query })).hits;
  }

  // ── Reads ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  getIdentity(identity: string): Identity {
    const found = findIdentity(this.#store, this.#record, identity);
    if (!found) throw identityNotFound(this.name, identity);
    return asIdentity(this.name, found.record, templatesOf(this.#store, this.#record, found.owner));
  }

  listIdentities(after: string | undefined, limit: number, groups: readonly string[] | undefined): readonly Identity[] {
    const members = groups && this.#groups.membersOf(groups, gatherMax);
    if (members) {
      return members
        .flatMap((owner) => findOwner(this.#store, this.#record, owner) ?? [])
        .map(({ identity }) => ({ identity, bytes: Buffer.from(identity) }))
        .filter(({ bytes }) => after === undefined || Buffer.compare(bytes, Buffer.from(after)) > 0)
        .toSorted((a, b) => Buffer.compare(a.bytes, b.bytes))
        .slice(0, limit)
        .map(({ identity }) => this.getIdentity(identity));
    }
    const page: Identity[] = [];
    for (const { owner, record } of identitiesAfter(this.#store, this.#record, after)) {
      if (page.length >= limit) break;
      if (groups && !record.groups.some((group) => groups.includes(group))) continue;
      page.push(asIdentity(this.name, record, templatesOf(this.#store, this.#record, owner)));
    }
    return page;
  }

  exportTemplates(): Iterable<{ identity: Identity; template: Template; vector: UnitVector }> {
    return exportFrom(this.#store, this.name, this.#record);
  }

  /** A page that LMDB reads wrongly may hide records without a sound: their number tells. @throws DATA_CORRUPT */
  async refuseIncomplete(): Promise<void> {
    const { indexedCount, pendingCount } = await this.#thread.call('counts', { gallery: this.number });
    const found = indexedCount + pendingCount;
    const { templateCount } = this.#record;
    if (found === templateCount) return;
    throw new HarmonidError(
      'DATA_CORRUPT',
      `gallery "${this.name}" has ${templateCount} templates, ${found} of them can be read; \`harmonid check\` says more`,
      { details: { gallery: this.name, templateCount, found } },
    );
  }

  async stats(): Promise<GalleryStats> {
    const { identityCount, templateCount, sequence } = this.#record;
    const counts = await this.#thread.call('counts', { gallery: this.number });
    return {
      gallery: this.name,
      identityCount,
      templateCount,
      sequence,
      graph: {
        ...counts,
        checkpointSequence: this.#checkpoint?.sequence ?? null,
        checkpointAt: this.#checkpoint ? new Date(this.#checkpoint.at) : null,
        openedFrom: this.#openedFrom,
      },
    };
  }

  /** Resolves when the graph holds everything that was written before. */
  async settle(): Promise<void> {
    await this.#thread.call('settle', { gallery: this.number });
  }

  // ── Checkpoints ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Writes a checkpoint unless the newest one holds all that the graph does. One at a time; a second call waits for the first. */
  checkpoint(): Promise<void> {
    return this.#oneAtATime(() => this.#writeCheckpoint());
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

  #checkpointWhenDue(): void {
    if (this.#record.sequence - this.#checkpointTriedAt < this.#options.checkpointEvery || this.#checkpointing) return;
    void this.#checkpointOrWarn();
  }

  /** The graph is a cache, so that failing to save it never fails what set it off. */
  async #checkpointOrWarn(): Promise<void> {
    try {
      await this.checkpoint();
    } catch (error) {
      this.#options.onWarning('a checkpoint failed; nothing is lost, the next opening takes longer', {
        gallery: this.name,
        error,
      });
    }
  }

  async checkpointAtClose(): Promise<void> {
    await this.#checkpointOrWarn();
  }

  async #writeCheckpoint(): Promise<void> {
    const { number, space } = this.#record;
    const { path, clock, keyring } = this.#options;
    this.#checkpointTriedAt = this.#record.sequence;
    const before = this.#checkpoint;
    const { indexedCount, removedCount, engine, rebuiltCount } = await this.#thread.call('counts', { gallery: number });
    const held = engine === 'hnsw' ? indexedCount + removedCount : 0;
    const holdsAll = before?.sequence === this.#record.sequence && (before.file?.count ?? 0) >= held;
    if (holdsAll && this.#checkpointIsSound && this.#checkpointRebuiltCount === rebuiltCount) return;
    const name = `${number}-${this.#record.sequence}-${randomUUID().slice(0, 8)}.hnsw`;
    const fileKey = keyring && randomBytes(keyBytes);
    const sealing = keyring && fileKey && { directory: keyring.directory, key: fileKey };
    const saved = await this.#thread.call('save', { gallery: number, path, name, sealing });
    const wrapped = keyring && fileKey && keyring.wrap(graphKeyContext(name), fileKey);
    const record: CheckpointRecord = {
      sequence: saved.sequence,
      at: clock(),
      file: saved.file && { ...saved.file, space, ...(wrapped && { key: wrapped }) },
    };
    const key = keys.checkpoint(number);
    try {
      const { durable } = await this.#store.write((writer) => {
        writer.put('checkpoints', key, checkpointCodec.encode(key, record));
      });
      await durable;
    } catch (error) {
      // A file that nothing names is litter, with faces in it.
      if (saved.file) await removeGraphFile(path, saved.file.name);
      throw error;
    }
    this.#checkpoint = record;
    this.#checkpointIsSound = true;
    this.#checkpointRebuiltCount = rebuiltCount;
    if (before?.file) await removeGraphFile(path, before.file.name);
    await this.#pruneChanges(saved.sequence);
  }

  /** Drops change-log entries that the checkpoint includes, a few at a time. */
  async #pruneChanges(sequence: number): Promise<void> {
    for (let pruned = pruneBatch; pruned === pruneBatch;) {
      const { value } = await this.#store.write((writer) => {
        let count = 0;
        for (const key of writer.keys('changes', ...ranges.changesTo(this.number, sequence))) {
          if (count === pruneBatch) break;
          writer.remove('changes', key);
          count++;
        }
        return count;
      });
      pruned = value;
    }
  }
}

function graphChange(edit: GalleryEdit, dimensions: number): GraphChange {
  const { added, removed } = edit;
  // A template that came and went within one transaction never reaches the graph.
  const gone = new Set(removed);
  const kept = added.filter(({ label }) => !gone.has(label));
  const vectors = new Float32Array(kept.length * dimensions);
  kept.forEach(({ vector }, i) => vectors.set(vector, i * dimensions));
  return {
    sequence: edit.record.sequence,
    added: {
      labels: Uint32Array.from(kept, ({ label }) => label),
      owners: Uint32Array.from(kept, ({ owner }) => owner),
      vectors,
    },
    removed: Uint32Array.from(removed),
  };
}
