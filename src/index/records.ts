/**
 * The nouns of the identity index: galleries, identities, templates, candidates. Plain immutable data, no behaviour.
 *
 * Distances are squared L2 between unit vectors, in [0, 4] (FaceNet, CVPR 2015). Words follow ISO/IEC 2382-37.
 */

/** What to do when a new face matches somebody else in the gallery. */
export type DuplicatePolicy = 'refuse' | 'report' | 'ignore';

/** Whether a probe needs a score that it is no presentation attack. */
export type PresentationPolicy = 'ignore' | 'require';

/** How a template came to be in its space. */
export type TemplateOrigin = 'native' | 'mapped' | 're-embedded';

/** [distance, distance among native templates that is worth the same], both ascending within (0, 4); straight lines between, from [0, 0] to [4, 4]. */
export type CalibrationKnots = readonly (readonly [number, number])[];

/** What distances to templates of an origin are worth among native ones, at which as many impostors are nearer. */
export type Calibration = Readonly<Partial<Record<Exclude<TemplateOrigin, 'native'>, CalibrationKnots>>>;

/** Where a face in two spaces comes from: a folder of photos, an enrolment, or a live probe. */
export type PairSource = 'photos' | 'enrolment' | 'probe';

export interface Gallery {
  readonly gallery: string;
  readonly space: string;
  readonly dimensions: number;
  readonly threshold: number;
  /** Where the threshold comes from: the pack's words, or `set by the operator`. */
  readonly thresholdSource: string;
  readonly margin: number;
  readonly duplicates: DuplicatePolicy;
  /** Quality reasons that refuse an enrolment; the index keeps them and does not read them. */
  readonly refuseReasons: readonly string[];
  /** The index keeps it and does not read it. */
  readonly presentation: PresentationPolicy;
  /** FPIR that searches should have, (0, 1); null: the threshold stands as it is. The index keeps both and does not read them. */
  readonly fpirTarget: number | null;
  /** FMR that verifications should have, (0, 1). */
  readonly fmrTarget: number | null;
  readonly templatesPerIdentityMax: number;
  readonly description: string;
  readonly identityCount: number;
  readonly templateCount: number;
  /** Number of the last change; grows by at least one with every write. */
  readonly sequence: number;
  readonly createdAt: Date;
  /** The space that the gallery is moving to, or has just left; null when no rollout is under way. */
  readonly beside: GallerySpace | null;
}

/** A gallery in another space than the one that serves: the same people, other vectors. */
export interface GallerySpace {
  readonly space: string;
  readonly dimensions: number;
  readonly threshold: number;
  readonly thresholdSource: string;
  /** Templates that have a vector in this space. */
  readonly templateCount: number;
}

export interface Template {
  /** Number of the template in its gallery; never reused. */
  readonly template: number;
  readonly space: string;
  readonly origin: TemplateOrigin;
  /** `FaceQuality.score` at enrolment; null when enrolled as a vector. */
  readonly quality: number | null;
  /** SHA-256 of the image's bytes, hex; null when enrolled as a vector. */
  readonly imageDigest: string | null;
  readonly enrolledAt: Date;
}

export interface Identity {
  readonly gallery: string;
  readonly identity: string;
  /** For people; need not be unique. */
  readonly label: string;
  readonly groups: readonly string[];
  readonly attributes: Readonly<Record<string, string>>;
  readonly templates: readonly Template[];
  /** Grows with every change of this identity; see `UpdateIdentityRequest.expectedVersion`. */
  readonly version: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** One to many. `match`: one clear identity; `ambiguous`: several within the threshold, too near to each other to tell. */
export type Decision = 'match' | 'no-match' | 'ambiguous';

export interface Candidate {
  readonly identity: string;
  readonly label: string;
  readonly groups: readonly string[];
  /** Distance of the identity's nearest template, squared L2. */
  readonly distance: number;
  /** The nearest template's number. */
  readonly template: number;
}

/** The proof that somebody was erased, for whoever asks. Names nobody. */
export interface Receipt {
  /** Counts the erasures of the data directory from 1. */
  readonly number: number;
  readonly at: Date;
  /** SHA-256 of "harmonid identity", a line feed, and the identity's id; hex. */
  readonly identityDigest: string;
  readonly templateCount: number;
  /** The change of the gallery that erased. */
  readonly sequence: number;
  /** Digest of the receipt before; 64 zeros in the first. */
  readonly previous: string;
  /** SHA-256 over all of this, hex: docs/FORMAT.md. */
  readonly digest: string;
}

/** What a search of the data directory's files for an erased person's vectors found. */
export interface ErasureProof {
  readonly filesScanned: number;
  readonly bytesScanned: number;
  /** Places that hold at least 32 bytes of one of the vectors; 0 is the proof. */
  readonly remainsFound: number;
  /** In an encrypted directory: whether the person's key is gone. */
  readonly keyDestroyed: boolean | null;
}

export interface EraseAnswer {
  /** False when there was nothing to erase: erasing is idempotent. */
  readonly existed: boolean;
  readonly templatesErased: number;
  readonly sequence: number;
  /** Of this erasure, or of the one before when it is repeated; null when nobody of that name was ever erased. */
  readonly receipt: Receipt | null;
  /**
   * Whether nothing of the person is left in the files: overwritten, or sealed with a key that is destroyed. False when a backup or an export
   * that began before still reads what was; then it is overwritten when that has ended, or at the next opening.
   */
  readonly overwritten: boolean;
  /** When it was asked for and there was somebody to erase. */
  readonly proof: ErasureProof | null;
}

/** Which threads search the graphs: the one in which they live, and others beside it, which are started when searches wait for each other. */
export interface SearchStats {
  /** Threads beside it, now. */
  readonly running: number;
  /** Of them, at most. */
  readonly runningMax: number;
  /** Searches that were given to them since the opening. */
  readonly searches: number;
  /** Searches that were given to the graphs' own thread since the opening. */
  readonly ownSearches: number;
}

export interface GalleryStats {
  readonly gallery: string;
  readonly identityCount: number;
  readonly templateCount: number;
  readonly sequence: number;
  readonly graph: {
    /** `exact` while the gallery is small, then `hnsw`. */
    readonly engine: string;
    /** Templates that the graph holds; the others are scanned exactly. */
    readonly indexedCount: number;
    readonly pendingCount: number;
    /** Removed entries that the graph still carries. */
    readonly removedCount: number;
    /** Approximate resident size of graph and vectors. */
    readonly bytes: number;
    /** How far a graph is that is being built from the beginning; null when none is. */
    readonly rebuild: { readonly builtCount: number; readonly wantedCount: number } | null;
    /** Times that another graph took over since the opening. */
    readonly rebuiltCount: number;
    /** Share of the queries sampled lately whose true nearest identity the graph found first; null before the first sample. */
    readonly recall: number | null;
    readonly recallSamples: number;
    /** Sequence that the newest checkpoint holds; null when there is none. */
    readonly checkpointSequence: number | null;
    readonly checkpointAt: Date | null;
    /** How this graph came to be at the last opening. */
    readonly openedFrom: 'checkpoint' | 'rebuild' | 'new';
  };
}
