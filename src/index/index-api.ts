/**
 * What the identity index is asked and what it answers. Speaks in unit vectors; knows no images.
 */
import type { UnitVector } from '../vector.js';
import type { CheckCounts, Finding } from './findings.js';
import type {
  Calibration,
  Candidate,
  Decision,
  DuplicatePolicy,
  EraseAnswer,
  Gallery,
  GalleryStats,
  Identity,
  PairSource,
  PresentationPolicy,
  SearchStats,
  Template,
  TemplateOrigin,
} from './records.js';

/** 32 bytes, or their text in hexadecimal or base64. */
export type MasterKey = Uint8Array | string;

/** Encryption at rest: AES-256-GCM, a data key an identity. Chosen when a directory is made. */
export interface EncryptionOptions {
  /** The master key, or how to get it. It is asked for once, at opening. */
  readonly key: MasterKey | (() => MasterKey | Promise<MasterKey>);
}

export interface IdentityIndexOptions {
  /** The data directory; made when it is not there, unless `readOnly`. */
  readonly path: string;
  /** Nothing is written; the answers are those of the moment of opening. Default false. */
  readonly readOnly?: boolean | undefined;
  /** For a new directory: encrypt it. For an encrypted one: its key. Default: no encryption. */
  readonly encryption?: EncryptionOptions | undefined;
  /** When a write is acknowledged: `flushed` (default) survives a power loss, `committed` only the death of the process, and is quicker. */
  readonly durability?: 'flushed' | 'committed' | undefined;
  /** What searches large galleries: our own engine (`harmonid`, the default) or hnswlib. A graph that the other one has saved is built anew. */
  readonly engine?: 'harmonid' | 'hnswlib' | undefined;
  /**
   * Of our own engine: compares candidates by 16-bit vectors in memory first (`memory`, the default, some 550 bytes a template), or by those in the store alone (`store`, some 280 bytes, and more
   * reads a search).
   */
  readonly rerank?: 'memory' | 'store' | undefined;
  /**
   * Of our own engine: threads that search large galleries beside the one in which graphs live, at most. They are started when searches wait for each other. 0 to 16; default: one less
   * than there are cores, 4 at most.
   */
  readonly searchThreads?: number | undefined;
  /** Galleries of up to so many templates have no graph. Larger saves memory and costs search time. Default 2,000. */
  readonly exactMax?: number | undefined;
  /** Changes of a gallery after which its graph is saved. Smaller opens faster after a crash and writes more. Default 20,000. */
  readonly checkpointEvery?: number | undefined;
  /**
   * Share of sampled queries whose nearest identity a graph must find first, 0 to 1; below it the graph is built anew. Larger builds
   * anew more often. Default 0.9.
   */
  readonly recallMin?: number | undefined;
  /** Milliseconds since 1970. Default the system's clock. */
  readonly clock?: (() => number) | undefined;
  /** Told of what went wrong and was made good: an unusable graph file, a checkpoint that failed. Default: a process warning. */
  readonly onWarning?: ((message: string, facts: object) => void) | undefined;
  /**
   * Told how long each commit took from its last change until it was flushed (with `committed`: until it was visible), milliseconds. Writes that come
   * at the same time share one. Must not throw.
   */
  readonly onCommit?: ((ms: number) => void) | undefined;
}

/** Everything that a gallery is made with; complete, already validated by the caller's parsing. */
export interface GalleryDraft {
  readonly gallery: string;
  readonly space: string;
  readonly dimensions: number;
  readonly threshold: number;
  readonly thresholdSource: string;
  readonly margin: number;
  readonly duplicates: DuplicatePolicy;
  readonly refuseReasons: readonly string[];
  /** Default `ignore`. */
  readonly presentation?: PresentationPolicy;
  /** Default null. */
  readonly fpirTarget?: number | null;
  readonly fmrTarget?: number | null;
  readonly templatesPerIdentityMax: number;
  readonly description: string;
}

/** The settings of a gallery that may change. */
export type GalleryChange = Partial<Omit<GalleryDraft, 'gallery' | 'space' | 'dimensions'>>;

/** A face in one space. */
export interface LaneVector {
  readonly vector: UnitVector;
  readonly space: string;
  readonly origin: TemplateOrigin;
}

/** A template to be. */
export interface TemplateDraft extends LaneVector {
  /** The same face in another space: kept when the gallery has, or is moving to, that one. */
  readonly beside?: LaneVector | undefined;
  readonly quality: number | null;
  readonly imageDigest: string | null;
  /** Milliseconds since 1970: of a template that was enrolled before. Default: now. */
  readonly enrolledAt?: number | undefined;
}

/** The space that a gallery is to move to. */
export interface LaneDraft {
  readonly space: string;
  readonly dimensions: number;
  readonly threshold: number;
  readonly thresholdSource: string;
  readonly calibration?: Calibration | undefined;
}

export interface LaneSettings {
  readonly threshold?: number;
  readonly thresholdSource?: string;
  readonly calibration?: Calibration;
}

/** A vector for a template that is there. */
export interface LaneTemplate {
  readonly owner: number;
  readonly template: number;
  readonly vector: UnitVector;
  readonly origin: TemplateOrigin;
}

/** A template of the lane that serves, and its origin in the one beside; null where there is none. */
export interface TwofoldTemplate {
  readonly owner: number;
  readonly template: number;
  readonly vector: UnitVector;
  readonly origin: TemplateOrigin;
  readonly imageDigest: string | null;
  readonly quality: number | null;
  /** Milliseconds since 1970. */
  readonly enrolledAt: number;
  readonly beside: { readonly vector: UnitVector; readonly origin: TemplateOrigin } | null;
}

export interface LanePage {
  readonly templates: readonly TwofoldTemplate[];
  /** Where the next page begins; null behind the last. */
  readonly next: Uint8Array | null;
}

export type LaneChange =
  /**
   * Opens a lane in another space beside the one that serves: from then on enrolments that bring a vector in that space put it there, too, and
   * removals take it away; searches and verifications may name either space.
   */
  | { readonly kind: 'open'; readonly lane: LaneDraft }
  /** Other settings of a lane. */
  | { readonly kind: 'set'; readonly space: string; readonly settings: LaneSettings }
  /** The lane beside serves, and what served is beside it. Refused unless it has every template. */
  | { readonly kind: 'switch'; readonly space: string }
  /** Removes the lane beside with everything in it. Nothing when there is none of that space. */
  | { readonly kind: 'drop'; readonly space: string };

export interface GalleryMove {
  readonly lanes?: readonly LaneChange[] | undefined;
  /** By name; null removes. In an encrypted directory they are sealed. */
  readonly documents?: Readonly<Record<string, Uint8Array | null>> | undefined;
}

/** One face in two spaces. */
export interface PairDraft {
  /** Identity whose face it is, or the name of somebody who is not enrolled; null when nobody knows. */
  readonly person: string | null;
  readonly source: PairSource;
  readonly imageDigest: string | null;
  readonly from: { readonly space: string; readonly vector: UnitVector };
  readonly to: { readonly space: string; readonly vector: UnitVector };
}

export interface Pair {
  /** Ordinal of the person. */
  readonly owner: number;
  readonly source: PairSource;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly from: UnitVector;
  readonly to: UnitVector;
}

export interface PairFilter {
  readonly source?: PairSource | undefined;
  /** Milliseconds since 1970: only older ones. */
  readonly before?: number | undefined;
}

export interface EnrollDraft {
  readonly gallery: string;
  readonly identity: string;
  readonly label?: string | undefined;
  readonly groups?: readonly string[] | undefined;
  readonly attributes?: Readonly<Record<string, string>> | undefined;
  /** At least one. */
  readonly templates: readonly TemplateDraft[];
  readonly duplicates?: DuplicatePolicy | undefined;
  /** Refuse with IDENTITY_ERASED who is on the list of the erased; else an enrolment takes them off it. */
  readonly unlessErased?: boolean | undefined;
  /** Nothing is written, and the answer is `replayed`, when the identity has all the templates already (template-copies.ts). */
  readonly onlyNew?: boolean | undefined;
  /** `digest` tells a retry of the same request from another request under the same key. */
  readonly idempotency?: { readonly key: string; readonly digest: string } | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Enrolment {
  readonly created: boolean;
  readonly templates: readonly Template[];
  readonly duplicates: readonly Candidate[];
  readonly sequence: number;
  readonly replayed: boolean;
}

export interface SearchRequest {
  readonly gallery: string;
  readonly space: string;
  readonly probe: UnitVector;
  /** Identities wanted, 1 to 1000. */
  readonly k: number;
  readonly groups?: readonly string[] | undefined;
  /** Default: the lane's. Of the number of identities that are searched where it depends on that. */
  readonly threshold?: number | ((identityCount: number) => number) | undefined;
  readonly exact: boolean;
  readonly ef: number;
  readonly signal?: AbortSignal | undefined;
}

export interface SearchAnswer {
  readonly decision: Decision;
  readonly candidates: readonly Candidate[];
  readonly threshold: number;
  readonly margin: number | null;
  readonly exact: boolean;
  /** Among how many it was searched: all of the gallery, or of the groups. */
  readonly identityCount: number;
}

export interface VerifyAnswer {
  readonly decision: 'match' | 'no-match';
  readonly distance: number;
  readonly template: number;
  readonly threshold: number;
}

/** What a check looks at; default: everything. */
export interface CheckOptions {
  /** Pages, records and graph files: all of the directory is read. */
  readonly records?: boolean | undefined;
  /** Every template is searched for. */
  readonly searches?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface IdentityIndex {
  createGallery(draft: GalleryDraft): Promise<Gallery>;
  /** @throws GALLERY_NOT_FOUND */
  getGallery(gallery: string): Gallery;
  /** Undefined when there is none. */
  findGallery(gallery: string): Gallery | undefined;
  listGalleries(): readonly Gallery[];
  updateGallery(gallery: string, change: GalleryChange): Promise<Gallery>;
  deleteGallery(gallery: string): Promise<boolean>;

  enroll(draft: EnrollDraft): Promise<Enrolment>;
  /** An idempotent request that was answered before, so that its images need not be embedded again. @throws IDEMPOTENCY_CONFLICT */
  findEnrolment(
    gallery: string,
    idempotency: { readonly key: string; readonly digest: string },
  ): Promise<Enrolment | undefined>;
  search(request: SearchRequest): Promise<SearchAnswer>;
  verify(request: {
    gallery: string;
    space: string;
    identity: string;
    probe: UnitVector;
    threshold?: number | undefined;
  }): VerifyAnswer;

  /** @throws IDENTITY_NOT_FOUND, GALLERY_NOT_FOUND */
  getIdentity(gallery: string, identity: string): Identity;
  /** Ids in UTF-8 byte order, strictly after `after`, at most `limit`. */
  listIdentities(request: {
    gallery: string;
    after?: string | undefined;
    limit: number;
    groups?: readonly string[] | undefined;
  }): readonly Identity[];
  updateIdentity(request: {
    gallery: string;
    identity: string;
    label?: string | undefined;
    groups?: readonly string[] | undefined;
    attributes?: Readonly<Record<string, string>> | undefined;
    expectedVersion?: number | undefined;
  }): Promise<Identity>;
  removeTemplate(gallery: string, identity: string, template: number): Promise<Identity>;
  /** @param options.prove whether the files are searched for what was erased, which reads all of them */
  eraseIdentity(
    gallery: string,
    identity: string,
    options?: { readonly prove?: boolean | undefined },
  ): Promise<EraseAnswer>;
  /** Every template with its vector, identities in byte order; a consistent snapshot. */
  exportTemplates(gallery: string): Iterable<{ identity: Identity; template: Template; vector: UnitVector }>;

  /**
   * Changes the lanes of a gallery (lanes.ts), its documents, or both at once: all of it or nothing.
   * @throws ROLLOUT_STATE
   */
  move(gallery: string, move: GalleryMove): Promise<Gallery>;
  /** Gives templates that have none a vector beside; gone ones are passed over. @returns how many it gave @throws ROLLOUT_STATE */
  fillLane(gallery: string, space: string, templates: readonly LaneTemplate[]): Promise<number>;
  /** Another face for a template, under a new number. @returns null when it is gone @throws SPACE_MISMATCH */
  replaceTemplate(gallery: string, owner: number, template: number, draft: TemplateDraft): Promise<number | null>;
  /** What distances to templates that are not native are worth in a space; undefined where all are native. @throws SPACE_MISMATCH */
  laneCalibration(gallery: string, space: string): Calibration | undefined;
  /** The id of an owner; undefined when nobody enrolled has it. */
  identityOf(gallery: string, owner: number): string | undefined;
  /** An identity's templates in both lanes. @throws IDENTITY_NOT_FOUND */
  templatesOf(gallery: string, identity: string): readonly TwofoldTemplate[];
  /** Templates of both lanes, a page at a time. */
  templatesAfter(gallery: string, after: Uint8Array | null, limit: number): LanePage;
  /** Bytes that were put by `move`; undefined when there are none of that name. */
  document(gallery: string, name: string): Buffer | undefined;
  /** In the order of their names. */
  documentNames(gallery: string, beginning: string): readonly string[];

  /** Keeps faces in two spaces. @returns how many it kept: those of images that are there, or were erased, are passed over */
  addPairs(gallery: string, pairs: readonly PairDraft[]): Promise<number>;
  /** Those between two spaces, one person's together; a consistent snapshot. */
  pairs(gallery: string, from: string, to: string): Iterable<Pair>;
  /** Of all spaces. */
  pairCounts(gallery: string): { readonly pairs: number; readonly people: number };
  /** Ordinals of those who have pairs, ascending. */
  pairOwners(gallery: string): readonly number[];
  /** How many templates there are in a space, by how they came there. @throws SPACE_MISMATCH */
  originCounts(gallery: string, space: string): Promise<Readonly<Record<TemplateOrigin, number>>>;
  /** Removes those that `filter` describes, some at a time. @returns how many */
  removePairs(gallery: string, filter: PairFilter): Promise<number>;

  /** Everything, as it is when the first byte is asked for. @throws DATA_CORRUPT, CLOSED */
  backup(options: { readonly product: string; readonly signal?: AbortSignal | undefined }): AsyncIterable<Uint8Array>;

  /**
   * Compares everything with everything, as it is now; writes nothing. Others go on meanwhile; the data file grows by what they write. Yields what
   * disagrees and returns what was looked at. For a directory that does not open there is `checkDirectory`.
   */
  check(options?: CheckOptions): AsyncGenerator<Finding, CheckCounts, void>;
  stats(): Promise<readonly GalleryStats[]>;
  /** Of all galleries together. */
  searchStats(): SearchStats;
  storeBytes(): number;
  /** Writes the graph of a gallery (of all without a name), so that the next opening need not build it. @throws DISK_FULL */
  checkpoint(gallery?: string): Promise<void>;
  /** Resolves when the graphs hold everything written so far; searches are complete before, too, only slower. */
  settle(): Promise<void>;
  /** Waits for writes under way, writes checkpoints, gives the directory free. Idempotent. */
  close(): Promise<void>;
}
