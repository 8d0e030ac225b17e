/**
 * One gallery: its store, its graph, and a single writer.
 *
 * Promises: what a write returned is seen by every search that begins after; a person who was erased is in no answer that begins after;
 * answers name identities that exist, nearest first, and are complete. The store is the truth; the graph is told of each commit in order.
 */
import { assertInvariant, HarmonidError, throwIfAborted } from '../errors.js';
import { squaredDistance, type UnitVector } from '../vector.js';
import { byDistance, judge, rankCandidates } from './candidates.js';
import { ranges, type GalleryRecord, type IdentityRecord, type LaneRecord } from './codec.js';
import {
  beginEdit,
  changeSettings,
  endEdit,
  enroll,
  findAnswer,
  removeTemplate,
  spaceMismatch,
  updateIdentity,
  type GalleryEdit,
  type IdentityUpdate,
  type OwnedCandidate,
} from './gallery-changes.js';
import { eraseIdentity, finishErasure, ownersOf, remember, type Remembered } from './erasure-changes.js';
import { findReceipt } from './erasure-receipt.js';
import type { GalleryGraphOptions } from './gallery-graph.js';
import { ownerCount, type GraphHit, type OwnerSet } from './graph.js';
import type { GraphChange } from './graph-messages.js';
import type { GraphThread } from './graph-thread.js';
import { openGroupSets, type GroupSets } from './group-sets.js';
import type {
  EnrollDraft,
  Enrolment,
  GalleryChange,
  GalleryMove,
  LanePage,
  LaneTemplate,
  LaneVector,
  Pair,
  PairDraft,
  PairFilter,
  SearchAnswer,
  SearchRequest,
  TemplateDraft,
  TwofoldTemplate,
  VerifyAnswer,
} from './index-api.js';
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
import { calibrated, keyOfLane, laneIn, lanesOf, servingLane } from './lanes.js';
import { documentNames, putDocuments, readDocument } from './gallery-documents.js';
import { changeLanes, fillLane, laneToOpen, replaceTemplate } from './lane-changes.js';
import { LaneGraphs } from './lane-graphs.js';
import { lanePage, originCounts, twofoldTemplates } from './lane-reads.js';
import { addPairs, pairCounts, pairOwners, pairsIn, removePairs, type RemovedPairs } from './pair-changes.js';
import { findAside } from './quarantine.js';
import type {
  Calibration,
  Candidate,
  EraseAnswer,
  Gallery as GalleryView,
  GalleryStats,
  Identity,
  Template,
  TemplateOrigin,
} from './records.js';
import type { Store } from './store.js';
import type { Scrubber } from './scrubber.js';
import { unhurried } from '../threads/unhurried.js';
import { batchOperationsMax, openWriteQueue, type Operation, type WriteQueue } from './write-queue.js';

export interface GalleryOptions extends GalleryGraphOptions {
  readonly durability: 'flushed' | 'committed';
  readonly scrubber: Scrubber;
  /** See `GalleryEdit`. */
  readonly templatesMax: (dimensions: number) => number;
}

/** Candidates that a duplicate check asks for, per face, and how widely it walks: wider than a search, as it decides for good. */
const duplicateSearch = { k: 5, ef: 256 };
/** Candidates looked at beyond those wanted where distances are calibrated by origin: the order by raw distance is another. */
const calibrationSlack = 16;
/** Width of a search that names none. */
const defaultEf = 128;
/** Records kept at hand between two writes, some hundred bytes each. */
const foundMax = 10_000;
/** Below this many members a page of a group is gathered from them; above, identities are read in order. */
const gatherMax = 2_000;

export class Gallery {
  readonly name: string;
  readonly #store: Store;
  readonly #options: GalleryOptions;
  readonly #queue: WriteQueue;
  readonly #groups: GroupSets;
  #record: GalleryRecord;
  /** Of the record as it is. */
  #view: GalleryView | null = null;
  /** Who was a candidate since the last write: most searches at a door find the same people. */
  readonly #found = new Map<number, IdentityRecord>();
  readonly graphs: LaneGraphs;
  #erasedCount = 0;
  #isRetired = false;
  /** The commit under way, settled when the graph has been told of it. */
  #committing: Promise<void> | null = null;

  /** Its graphs are to be opened before anything else is asked. */
  constructor(name: string, record: GalleryRecord, store: Store, thread: GraphThread, options: GalleryOptions) {
    this.name = name;
    this.#record = record;
    this.#store = store;
    this.#options = options;
    this.graphs = new LaneGraphs({ name, record: () => this.#record, store, thread, options });
    this.#groups = openGroupSets(store, record.number);
    this.#queue = openWriteQueue({
      commit: (apply) => this.#commit(apply),
      threshold: () => this.#record.threshold,
      durability: options.durability,
    });
  }

  get view(): GalleryView {
    return (this.#view ??= asGallery(this.name, this.#record));
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
    const wrong = templates.find((template) => !vectorIn(this.#record.space, template));
    if (wrong) throw spaceMismatch(this.name, this.#record.space, wrong.space);
    const { space } = this.#record;
    const vectors = templates.flatMap((template) => vectorIn(space, template)?.vector ?? []);
    const checked = (draft.duplicates ?? this.#record.duplicates) !== 'ignore';
    let duplicates: readonly OwnedCandidate[] = [];
    return this.#write({
      begin: () => throwIfAborted(draft.signal),
      faces: { identity, vectors, checked },
      prepare: async () => {
        if (checked && !(draft.idempotency && this.#findEnrolment(draft.idempotency))) {
          duplicates = await this.#findDuplicates(identity, space, vectors);
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
    if (found && !isDurable) await this.#write({ apply: () => null });
    return found;
  }

  #findEnrolment(idempotency: { readonly key: string; readonly digest: string }): Enrolment | undefined {
    const gallery = { name: this.name, record: this.#record };
    return findAnswer(this.#store, gallery, idempotency, this.#options.clock());
  }

  updateSettings(change: GalleryChange): Promise<GalleryView> {
    return this.#write({ alone: true, apply: (edit) => changeSettings(edit, change) });
  }

  updateIdentity(update: IdentityUpdate): Promise<Identity> {
    return this.#write({ apply: (edit) => updateIdentity(edit, update) });
  }

  removeTemplate(identity: string, template: number): Promise<Identity> {
    return this.#write({ removes: true, apply: (edit) => removeTemplate(edit, identity, template) });
  }

  /** The person's key is destroyed first, so that whatever happens after, nothing opens any more; then the records go, then their bytes. */
  async eraseIdentity(identity: string, prove: boolean): Promise<EraseAnswer> {
    const { keyring, scrubber } = this.#options;
    let known: Remembered | undefined;
    const { erasure, sequenceThen } = await this.#write({
      removes: true,
      destroys: keyring !== null,
      prepare: async () => {
        if (!keyring) return;
        known = remember(this.#store, this.#record, identity);
        const aside = findAside(this.#store, this.number, identity, known.found?.owner ?? null);
        for (const owner of new Set([...ownersOf(known), ...aside.map((entry) => entry.owner)])) {
          if (owner !== null) await keyring.destroy(this.number, owner);
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
    const overwritten = (await this.graphs.replaceFiles()) && (await scrubber.overwrite());
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
      const left = [
        ...this.#store.keys('owners', ...ranges.ownerOf(this.number, owner)),
        ...this.#store.keys('pairs', ...ranges.templatesOf(this.number, owner)),
      ];
      if (left.length > 0) await this.#write({ removes: true, apply: (edit) => finishErasure(edit, owner) });
    }
  }

  /** Other identities within the threshold of any of the vectors, each at its nearest. */
  async #findDuplicates(
    identity: string,
    space: string,
    vectors: readonly UnitVector[],
  ): Promise<readonly OwnedCandidate[]> {
    const lane = this.#laneIn(space);
    const probes = new Float32Array(vectors.length * lane.dimensions);
    vectors.forEach((vector, i) => probes.set(vector, i * lane.dimensions));
    const exclude = findIdentity(this.#store, this.#record, identity)?.owner;
    const query = { probes, exclude, exact: false, ...duplicateSearch };
    const { hits } = await this.graphs.of(lane).search(query);
    const nearest = new Map<number, GraphHit>();
    for (const hit of this.#ranked(lane, hits.flat(), vectors)) {
      if (hit.distance > lane.threshold) continue;
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
    this.#requireStaying();
    const { keyring } = this.#options;
    await keyring?.reserve(this.number, this.#record.nextOwner + batchOperationsMax);
    const { value: edit, durable } = await this.#store.write((writer) => {
      const begun = beginEdit(
        writer,
        { name: this.name, record: this.#record },
        { nowMs: this.#options.clock(), templatesMax: this.#options.templatesMax },
      );
      apply(begun);
      if (begun.record !== this.#record) endEdit(begun);
      return begun;
    });
    this.#record = edit.record;
    this.#view = null;
    this.#found.clear();
    this.#erasedCount += edit.erasedCount;
    for (const { owner, groups } of edit.regrouped) this.#groups.regroup(owner, groups);
    this.graphs.change((lane) => graphChange(edit, lane));
    return { durable };
  }

  /** Resolves when all writes asked for are done, and a checkpoint that they set off. */
  async drained(): Promise<void> {
    await this.#queue.drained();
    await this.graphs.idle();
  }

  /** Refused before it waits: a queue that never empties would keep the gallery from being deleted. */
  async #write<T>(operation: Operation<T>): Promise<T> {
    this.#requireStaying();
    return this.#queue.run(operation);
  }

  #requireStaying(): void {
    if (!this.#isRetired) return;
    throw new HarmonidError('GALLERY_NOT_FOUND', `gallery "${this.name}" is being deleted`, {
      details: { gallery: this.name },
    });
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
    throwIfAborted(request.signal);
    const { exact, ef } = request;
    for (;;) {
      const lane = this.#laneIn(request.space);
      assertInvariant(request.probe.length === lane.dimensions, 'a probe of the space has its dimensions');
      // The runner-up decides between match and ambiguous, also when only one candidate is wanted.
      const wanted = Math.max(2, request.k);
      const k = lane.calibration ? wanted + calibrationSlack : wanted;
      const allow: OwnerSet | undefined = request.groups && this.#groups.setOf(request.groups, this.#record.nextOwner);
      const erasedBefore = this.#erasedCount;
      const query = { probes: request.probe, k, allow, exact, ef };
      const answer = await this.graphs.of(lane).search(query);
      throwIfAborted(request.signal);
      const hits = this.#ranked(lane, answer.hits[0] ?? [], [request.probe]);
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
      const identityCount = allow ? ownerCount(allow) : this.#record.identityCount;
      const wantedThreshold = request.threshold ?? lane.threshold;
      const threshold = typeof wantedThreshold === 'number' ? wantedThreshold : wantedThreshold(identityCount);
      return {
        ...judge(ranked, threshold, this.#record.margin),
        candidates: ranked.slice(0, request.k),
        threshold,
        exact: answer.exact,
        identityCount,
      };
    }
  }

  /** The lane in a space. @throws SPACE_MISMATCH */
  #laneIn(space: string): LaneRecord {
    const lane = laneIn(this.#record, space);
    if (!lane) throw spaceMismatch(this.name, this.#record.space, space);
    return lane;
  }

  /** Hits with the distance that they are worth, where templates of several origins are in one lane: each owner's smallest. */
  #ranked(lane: LaneRecord, hits: readonly GraphHit[], probes: readonly Float32Array[]): readonly GraphHit[] {
    const { calibration } = lane;
    if (!calibration) return hits;
    const key = keyOfLane(this.#record, lane);
    return hits.map((hit) => {
      let best: GraphHit | null = null;
      for (const { template, record } of templatesOf(this.#store, key, hit.owner)) {
        const raw = Math.min(...probes.map((probe) => squaredDistance(probe, record.vector)));
        const distance = calibrated(calibration, record.origin, raw);
        if (best === null || distance < best.distance) best = { owner: hit.owner, label: template, distance };
      }
      return best ?? hit;
    });
  }

  verify(request: {
    space: string;
    identity: string;
    probe: UnitVector;
    threshold?: number | undefined;
  }): VerifyAnswer {
    const lane = this.#laneIn(request.space);
    const found = findIdentity(this.#store, this.#record, request.identity);
    if (!found) throw identityNotFound(this.name, request.identity);
    const threshold = request.threshold ?? lane.threshold;
    let nearest: { readonly template: number; readonly distance: number } | undefined;
    for (const stored of templatesOf(this.#store, keyOfLane(this.#record, lane), found.owner)) {
      const raw = squaredDistance(request.probe, stored.record.vector);
      const distance = calibrated(lane.calibration, stored.record.origin, raw);
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
    const found = this.#found.get(owner) ?? findOwner(this.#store, this.#record, owner);
    if (!found) return undefined;
    if (this.#found.size >= foundMax) this.#found.clear();
    this.#found.set(owner, found);
    return { identity: found.identity, label: found.label, groups: [...found.groups], distance, template };
  }

  /** The nearest template of each probe in a lane's space, by the graph as searches walk it, or by comparing with all. */
  async nearest(
    lane: LaneRecord,
    probes: Float32Array,
    by: 'graph' | 'exact',
  ): Promise<readonly (readonly GraphHit[])[]> {
    const query = { probes, k: 1, exact: by === 'exact', ef: defaultEf };
    return (await this.graphs.of(lane).search(query)).hits;
  }

  // ── Lanes ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** @throws ROLLOUT_STATE */
  async move({ lanes = [], documents = {} }: GalleryMove): Promise<GalleryView> {
    let opened: number | undefined;
    const dropped: number[] = [];
    try {
      return await this.#write({
        alone: true,
        prepare: async () => {
          const opening = lanes.find((change) => change.kind === 'open');
          if (!opening) return;
          // The graph first: the next write after this one has vectors for it.
          const lane = laneToOpen({ record: this.#record }, opening.lane);
          opened = lane.lane;
          await this.graphs.open(lane, { isNew: true });
        },
        apply: (edit) => {
          for (const change of lanes) dropped.push(...changeLanes(edit, change));
          putDocuments(edit.writer, this.#options.keyring, this.number, documents);
          return asGallery(this.name, edit.record);
        },
      });
    } finally {
      const isThere = (lane: number): boolean => lanesOf(this.#record).some((one) => one.lane === lane);
      if (opened !== undefined && !isThere(opened)) await this.graphs.drop(opened);
      for (const lane of dropped) if (!isThere(lane)) await this.graphs.clear(lane);
    }
  }

  document(name: string): Buffer | undefined {
    return readDocument(this.#store, this.#options.keyring, this.number, name);
  }

  documentNames(beginning: string): readonly string[] {
    return documentNames(this.#store, this.number, beginning);
  }

  /** @returns how many templates were given a vector beside */
  fillLane(space: string, templates: readonly LaneTemplate[]): Promise<number> {
    return this.#write({ apply: (edit) => fillLane(edit, space, templates) });
  }

  /** @returns the new number; null when the template is gone */
  replaceTemplate(owner: number, template: number, draft: TemplateDraft): Promise<number | null> {
    return this.#write({ removes: true, apply: (edit) => replaceTemplate(edit, owner, template, draft) });
  }

  addPairs(pairs: readonly PairDraft[]): Promise<number> {
    return this.#write({ apply: (edit) => addPairs(edit, pairs) });
  }

  *pairs(from: string, to: string): Iterable<Pair> {
    const snapshot = this.#store.snapshot();
    try {
      yield* pairsIn(snapshot, this.number, from, to);
    } finally {
      snapshot.release();
    }
  }

  async removePairs(filter: PairFilter): Promise<number> {
    let removed = 0;
    for (let from: Uint8Array | null = null, isLast = false; !isLast;) {
      const start: Uint8Array | null = from;
      const remove = (edit: GalleryEdit): RemovedPairs => removePairs(edit, filter, start);
      const { removed: count, next } = await unhurried(() => this.#write({ apply: remove }));
      removed += count;
      from = next;
      isLast = next === null;
    }
    return removed;
  }

  pairCounts(): { readonly pairs: number; readonly people: number } {
    return pairCounts(this.#store, this.number);
  }

  pairOwners(): readonly number[] {
    return pairOwners(this.#store, this.number);
  }

  originCounts(space: string): Promise<Readonly<Record<TemplateOrigin, number>>> {
    return originCounts(this.#store, this.number, this.#laneIn(space).lane);
  }

  /** @throws SPACE_MISMATCH */
  laneCalibration(space: string): Calibration | undefined {
    return this.#laneIn(space).calibration;
  }

  identityOf(owner: number): string | undefined {
    return findOwner(this.#store, this.#record, owner)?.identity;
  }

  templatesOf(identity: string): readonly TwofoldTemplate[] {
    const found = findIdentity(this.#store, this.#record, identity);
    if (!found) throw identityNotFound(this.name, identity);
    return twofoldTemplates(this.#store, this.#record, ranges.templatesOf(this.number, found.owner));
  }

  /** Templates of one lane and what the other has of them, in the order of their keys; a few at a time. */
  templatesAfter(after: Uint8Array | null, limit: number): LanePage {
    return lanePage(this.#store, this.#record, after, limit);
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
    for (const lane of lanesOf(this.#record)) {
      const { indexedCount, pendingCount } = await this.graphs.of(lane).counts();
      const found = indexedCount + pendingCount;
      const { templateCount, space } = lane;
      if (found === templateCount) continue;
      throw new HarmonidError(
        'DATA_CORRUPT',
        `gallery "${this.name}" has ${templateCount} templates, ${found} of them can be read; \`harmonid check\` says more`,
        { details: { gallery: this.name, space, templateCount, found } },
      );
    }
  }

  async stats(): Promise<GalleryStats> {
    const { identityCount, templateCount, sequence } = this.#record;
    const graph = this.graphs.of(servingLane(this.#record));
    const { checkpoint, openedFrom } = graph;
    return {
      gallery: this.name,
      identityCount,
      templateCount,
      sequence,
      graph: {
        ...(await graph.counts()),
        checkpointSequence: checkpoint?.sequence ?? null,
        checkpointAt: checkpoint ? new Date(checkpoint.at) : null,
        openedFrom,
      },
    };
  }
}

/** What an enrolment brings in a space; undefined when it brings nothing. */
function vectorIn(space: string, draft: TemplateDraft): LaneVector | undefined {
  return [draft, ...(draft.beside ? [draft.beside] : [])].find((vector) => vector.space === space);
}

function graphChange(edit: GalleryEdit, { lane, dimensions }: LaneRecord): GraphChange {
  const { removed } = edit;
  const added = edit.added.filter((one) => one.lane === lane);
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
