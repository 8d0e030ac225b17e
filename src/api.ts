/**
 * The public vocabulary: requests, answers and the `Database` interface.
 *
 * Two implementations speak it: the embedded database (`openDatabase`) and the remote one over gRPC (`connectDatabase`). Same
 * semantics, same error codes. Distances are squared L2 between unit vectors, in [0, 4]; smaller is more alike
 * (FaceNet, CVPR 2015). Words follow ISO/IEC 2382-37.
 */
import type { Calibration } from './calibration/calibration-report.js';
import type { SamePeople } from './calibration/calibrations.js';
import type { LaneStats } from './admission.js';
import type { Embedding } from './vector.js';
import type { EmbedderInfo, EmbedderStats, EmbedTimings } from './embedder/embedder.js';
import type { Face, QualityReason } from './embedder/face.js';
import type { CheckCounts, Finding } from './index/findings.js';
import type {
  Candidate,
  Decision,
  DuplicatePolicy,
  EraseAnswer,
  Gallery as GalleryRecord,
  GalleryStats,
  Identity,
  PresentationPolicy,
  SearchStats,
  Template,
} from './index/records.js';

import type { Rollouts } from './migrate/rollout.js';

export type { Calibration, CalibrationPoint } from './calibration/calibration-report.js';
export type { SamePeople } from './calibration/calibrations.js';
export type { CalibratedThreshold, RateKind, RateSupport } from './calibration/gallery-calibration.js';
export type { AdmissionLimits, LaneName, LaneStats } from './admission.js';
export type { Embedding } from './vector.js';
export type * from './migrate/rollout.js';
export { findingKinds } from './index/findings.js';
export type { CheckCounts, Finding, FindingKind, FindingRepair, FindingSeverity } from './index/findings.js';
export type {
  Candidate,
  Decision,
  DuplicatePolicy,
  EraseAnswer,
  ErasureProof,
  GalleryStats,
  Identity,
  PresentationPolicy,
  Receipt,
  SearchStats,
  Template,
  TemplateOrigin,
} from './index/records.js';
export type { Face, FaceQuality, Box, Point, QualityReason } from './embedder/face.js';
export type { EmbedderInfo, EmbedderStats, PresentationInfo } from './embedder/embedder.js';

/** The gallery that is meant when none is named; it is made at the first enrolment. */
export const defaultGallery = 'default';

/** One biometric sample: exactly one of the three. */
export type Sample =
  /** An encoded image: JPEG, PNG, WebP, AVIF, TIFF, GIF. */
  | { readonly image: Uint8Array; readonly alignedCrop?: undefined; readonly embedding?: undefined }
  /** An encoded image that is already aligned to the model pack's chip; nothing is detected. */
  | { readonly alignedCrop: Uint8Array; readonly image?: undefined; readonly embedding?: undefined }
  /** A vector made elsewhere, with the name of its space. */
  | { readonly embedding: Embedding; readonly image?: undefined; readonly alignedCrop?: undefined };

/** What every call takes. */
export interface CallOptions {
  /** Aborts the call: it rejects with CANCELLED or DEADLINE_EXCEEDED, and work that has not begun is not done. */
  readonly signal?: AbortSignal | undefined;
  /**
   * When the answer is of no use any more, milliseconds since 1970. What would not be done by then is refused at once with OVERLOADED where work
   * waits for its turn (images, searches, enrolments). Default: never; over gRPC the call's own deadline.
   */
  readonly deadlineAt?: number | undefined;
}

// ── Galleries ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Settings of a gallery that can be changed while it is in use. */
export interface GallerySettings {
  /** A probe within this distance of an identity is a match, squared L2, (0, 4]. Default: the model pack's. */
  readonly threshold?: number | undefined;
  /** Two identities within the threshold and nearer to each other than this are ambiguous, squared L2, [0, 4]. */
  readonly margin?: number | undefined;
  /** Default `refuse`. */
  readonly duplicates?: DuplicatePolicy | undefined;
  /**
   * Quality reasons that refuse an enrolment. Default: all but PRESENTATION_ATTACK, which `presentation` is about. An empty list accepts any
   * face.
   */
  readonly refuseReasons?: readonly QualityReason[] | undefined;
  /**
   * `require`: an enrolment, a search or a verification is refused (FACE_REFUSED, reason PRESENTATION_ATTACK) when a face's presentation
   * score is below the model pack's threshold, and (NO_PRESENTATION_SCORE) when there is no score: of a vector, of an aligned crop, or of a
   * pack without a network for it. No request overrides it. Templates that are imported are taken as they were accepted elsewhere. Default
   * `ignore`: the score is told and decides nothing.
   */
  readonly presentation?: PresentationPolicy | undefined;
  /** Most templates an identity may have, 1 to 1000. Larger costs memory and search time. Default 50. */
  readonly templatesPerIdentityMax?: number | undefined;
  /**
   * FPIR that searches should have, (0, 1): once the gallery is calibrated (`calibrate`), a search takes the threshold that gives it among as many identities as are
   * searched. Null: the threshold stands as it is. Naming a threshold is naming no target. Default null.
   */
  readonly fpirTarget?: number | null | undefined;
  /** FMR that verifications should have, (0, 1), in the same way. Default null: as a search. */
  readonly fmrTarget?: number | null | undefined;
  /** Free text for people. */
  readonly description?: string | undefined;
}

export interface CreateGalleryRequest extends CallOptions, GallerySettings {
  readonly gallery: string;
  /** Default: the embedder's space. Name both for vectors made elsewhere (then `threshold` is required, too). */
  readonly space?: string | undefined;
  readonly dimensions?: number | undefined;
}

/** A gallery as it stands. */
export type Gallery = GalleryRecord & { readonly refuseReasons: readonly QualityReason[] };

export interface UpdateGalleryRequest extends CallOptions, GallerySettings {
  readonly gallery: string;
}

// ── Identities ───────────────────────────────────────────────────────────────────────────────────────────────────────

export interface IdentityRef extends CallOptions {
  readonly gallery?: string | undefined;
  readonly identity: string;
}

export interface EraseRequest extends IdentityRef {
  /** Search all files of the data directory for the person's vectors after they are erased. Default false: it reads everything. */
  readonly prove?: boolean | undefined;
}

export interface UpdateIdentityRequest extends IdentityRef {
  readonly label?: string | undefined;
  /** Replaces all groups. */
  readonly groups?: readonly string[] | undefined;
  /** Replaces all attributes. */
  readonly attributes?: Readonly<Record<string, string>> | undefined;
  /** Refuse with VERSION_CONFLICT unless the identity still has this version. */
  readonly expectedVersion?: number | undefined;
}

export interface ListIdentitiesRequest extends CallOptions {
  readonly gallery?: string | undefined;
  /** 1 to 1000, default 100. */
  readonly pageSize?: number | undefined;
  /** From the previous page's `nextPageToken`. */
  readonly pageToken?: string | undefined;
  /** Only identities in at least one of these groups. */
  readonly groups?: readonly string[] | undefined;
}

export interface IdentityPage {
  /** In the order of their ids (UTF-8 bytes). */
  readonly identities: readonly Identity[];
  /** Absent on the last page. */
  readonly nextPageToken?: string | undefined;
}

export interface RemoveTemplateRequest extends IdentityRef {
  readonly template: number;
}

// ── Enrolment ────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface EnrollRequest extends CallOptions {
  readonly gallery?: string | undefined;
  readonly identity: string;
  /** Set when given; kept when the identity exists and nothing is given. */
  readonly label?: string | undefined;
  readonly groups?: readonly string[] | undefined;
  readonly attributes?: Readonly<Record<string, string>> | undefined;
  /** Encoded images, one face each. All samples are enrolled or none. */
  readonly images?: readonly Uint8Array[] | undefined;
  readonly alignedCrops?: readonly Uint8Array[] | undefined;
  readonly embeddings?: readonly Embedding[] | undefined;
  /** A retry with the same key and the same request returns the first answer, for 24 hours. Up to 128 characters. */
  readonly idempotencyKey?: string | undefined;
  /** Overrides the gallery's policy. */
  readonly duplicates?: DuplicatePolicy | undefined;
  /** Overrides the gallery's policy. */
  readonly refuseReasons?: readonly QualityReason[] | undefined;
  /** When an image shows several faces: refuse (default) or take the largest. */
  readonly faces?: 'one' | 'largest' | undefined;
}

export interface EnrollAnswer {
  readonly gallery: string;
  readonly identity: string;
  /** True when the identity did not exist before. */
  readonly created: boolean;
  /** The new templates, in the order images, aligned crops, embeddings. */
  readonly templates: readonly Template[];
  /** The faces that were used, in the order of the images and aligned crops. */
  readonly faces: readonly Face[];
  /** Other identities that match (policy `report`); empty otherwise. */
  readonly duplicates: readonly Candidate[];
  /** The change with which this enrolment is durable. */
  readonly sequence: number;
  /** True when the idempotency key had been answered before; nothing was written again. */
  readonly replayed: boolean;
}

/** One item of an import: enrolled, or refused with the reason; an item never stops the others. */
export type ImportResult =
  | { readonly index: number; readonly identity: string; readonly answer: EnrollAnswer; readonly error?: undefined }
  | { readonly index: number; readonly identity: string; readonly error: Error; readonly answer?: undefined };

// ── Identification and verification ──────────────────────────────────────────────────────────────────────────────────

export interface SearchOptions {
  /** How many identities to return, 1 to 1000, default 5. A search ends when so many are certain: of somebody who is enrolled, 1 takes half of the time of 5 in a large gallery. */
  readonly k?: number | undefined;
  /** Search only identities in at least one of these groups; the answer is complete within them. */
  readonly groups?: readonly string[] | undefined;
  /** Overrides the gallery's threshold for this call. An image is then judged in the gallery's space, whatever a rollout does. */
  readonly threshold?: number | undefined;
  /** Compare with every template instead of walking the graph. Default false; small galleries are always exact. */
  readonly exact?: boolean | undefined;
  /** Width of the graph search, 1 to 4096: larger finds more of the true neighbours and takes longer. Default 128. */
  readonly ef?: number | undefined;
}

export type IdentifyRequest = CallOptions &
  SearchOptions &
  Sample & {
    readonly gallery?: string | undefined;
    /** When the image shows several faces: refuse with SEVERAL_FACES (default) or search the largest. */
    readonly faces?: 'one' | 'largest' | undefined;
  };

/** Identify every face of one image. */
export type IdentifyFacesRequest = CallOptions &
  SearchOptions & { readonly gallery?: string | undefined; readonly image: Uint8Array };

/** Milliseconds per stage; stages that did not run are 0. */
export interface Timings extends EmbedTimings {
  readonly searchMs: number;
  readonly totalMs: number;
}

/** What a database spends its time on. */
export type Stage = 'decode' | 'detect' | 'align' | 'embed' | 'search' | 'write';

export interface Identification {
  readonly gallery: string;
  readonly space: string;
  readonly decision: Decision;
  /** Nearest identities first, within the threshold or not; fewer than k only when the gallery (or group) has fewer. */
  readonly candidates: readonly Candidate[];
  readonly threshold: number;
  /**
   * FPIR that a threshold at the first candidate's distance would have among as many identities: so many strangers are as near to somebody. Null when the
   * gallery is not calibrated, nobody was found, or a rollout judged by distances of its own.
   */
  readonly fpir: number | null;
  /** Distance of the second candidate minus the first's; null when there is no second. */
  readonly margin: number | null;
  /** Whether every template was compared. */
  readonly exact: boolean;
  /** The face that was searched; null when the sample was a vector. */
  readonly face: Face | null;
  readonly timings: Timings;
}

export type VerifyRequest = CallOptions &
  Sample & {
    readonly gallery?: string | undefined;
    readonly identity: string;
    readonly threshold?: number | undefined;
    readonly faces?: 'one' | 'largest' | undefined;
  };

/** One to one against a person: the nearest of the identity's templates decides. */
export interface Verification {
  readonly gallery: string;
  readonly space: string;
  readonly identity: string;
  readonly decision: 'match' | 'no-match';
  readonly distance: number;
  readonly template: number;
  readonly threshold: number;
  /** FMR that a threshold at this distance would have: so many strangers are as near to an identity. Null as in `Identification.fpir`. */
  readonly fmr: number | null;
  readonly face: Face | null;
  readonly timings: Timings;
}

export type EmbedRequest = CallOptions &
  (
    | { readonly image: Uint8Array; readonly alignedCrop?: undefined }
    | { readonly alignedCrop: Uint8Array; readonly image?: undefined }
  );

export interface EmbedAnswer {
  /** Size of the upright image, pixels. */
  readonly width: number;
  readonly height: number;
  /** Largest first; empty when no face was found. */
  readonly faces: readonly { readonly face: Face; readonly embedding: Embedding }[];
  readonly timings: EmbedTimings;
}

// ── Calibration ──────────────────────────────────────────────────────────────────────────────────────────────────────

export interface CalibrationRef extends CallOptions {
  readonly gallery?: string | undefined;
  /** Default: the one that serves. */
  readonly space?: string | undefined;
}

/** A face whose person is known. */
export interface KnownProbe {
  /** Undefined: somebody who is not in the gallery. */
  readonly identity?: string | undefined;
  readonly embedding: Embedding;
}

export interface CalibrateRequest extends CalibrationRef {
  /** Faces beside the enrolled ones, as a door sees them; of an identity the first is taken. At most 10,000. */
  readonly probes?: readonly KnownProbe[] | undefined;
  /** Share of the comparisons that are done. */
  readonly onProgress?: ((share: number) => void) | undefined;
}

export interface CalibrateAnswer {
  /** Null when there are too few people (fewer than 100 probes) to speak of rates; then everything is as it was. */
  readonly calibration: Calibration | null;
  readonly probeCount: number;
  /** Pairs of identities that seem to be one person, and were left out; nearest first. */
  readonly samePeople: readonly SamePeople[];
}

// ── Operations ───────────────────────────────────────────────────────────────────────────────────────────────────────

export interface Stats {
  /** What works and what waits, in each lane. */
  readonly lanes: readonly LaneStats[];
  readonly version: string;
  readonly startedAt: Date;
  readonly embedder: { readonly info: EmbedderInfo; readonly stats: EmbedderStats } | null;
  readonly galleries: readonly GalleryStats[];
  /** Which threads search the graphs of all galleries. Null: of a server that is older than this figure. */
  readonly search: SearchStats | null;
  /** Resident set size of the process, bytes. */
  readonly residentBytes: number;
  readonly storeBytes: number;
}

/** What a template looks like when it leaves: everything that is needed to enroll it elsewhere (`importTemplates`). */
export interface ExportedTemplate {
  readonly gallery: string;
  readonly identity: string;
  readonly label: string;
  readonly groups: readonly string[];
  readonly attributes: Readonly<Record<string, string>>;
  readonly template: Template;
  readonly embedding: Embedding;
}

export interface ImportTemplatesOptions extends CallOptions {
  /** Where all templates go. Default: the gallery that each one names. */
  readonly gallery?: string | undefined;
  /**
   * Makes galleries that are not there, with these settings, in the space of the first of their templates. `threshold` is required for a
   * space that is not the embedder's. Left out: GALLERY_NOT_FOUND.
   */
  readonly createGallery?: GallerySettings | undefined;
  /** When a face is somebody else already. Default `ignore`: the templates are a copy of what was accepted elsewhere. */
  readonly duplicates?: DuplicatePolicy | undefined;
}

/** A template that came back. */
export interface ImportedTemplate {
  readonly gallery: string;
  /** False when the identity has it already: the same vector, space and time of enrolment. */
  readonly added: boolean;
  /** True when the identity did not exist before. */
  readonly identityCreated: boolean;
  /** As it is stored here, with its number here. */
  readonly template: Template;
  /** The change with which it is durable. */
  readonly sequence: number;
}

/** One template of an import: there, or refused with the reason; one never stops the others. */
export type TemplateImportResult =
  | { readonly index: number; readonly identity: string; readonly answer: ImportedTemplate; readonly error?: undefined }
  | { readonly index: number; readonly identity: string; readonly error: Error; readonly answer?: undefined };

/** What a check looks at; default: everything. */
export interface CheckRequest extends CallOptions {
  /** Pages, records and graph files: the whole directory is read. */
  readonly records?: boolean | undefined;
  /** Every template is searched for. */
  readonly searches?: boolean | undefined;
}

export interface Database {
  createGallery(request: CreateGalleryRequest): Promise<Gallery>;
  getGallery(request: { readonly gallery: string } & CallOptions): Promise<Gallery>;
  listGalleries(options?: CallOptions): Promise<readonly Gallery[]>;
  updateGallery(request: UpdateGalleryRequest): Promise<Gallery>;
  /** Removes the gallery with everybody in it. Returns false when there was none. */
  deleteGallery(request: { readonly gallery: string } & CallOptions): Promise<boolean>;

  /**
   * Adds templates for one identity, which is made if it does not exist. Durable when it returns; all samples or none.
   * @throws the codes of images, faces, vectors and names, DUPLICATE_FACE, FACE_REFUSED, NO_PRESENTATION_SCORE, LIMIT_EXCEEDED,
   *   GALLERY_NOT_FOUND
   */
  enroll(request: EnrollRequest): Promise<EnrollAnswer>;
  /** Enrolls a stream of items, several at a time; yields a result an item, in the order in which they finish. */
  importAll(
    items: AsyncIterable<EnrollRequest> | Iterable<EnrollRequest>,
    options?: CallOptions,
  ): AsyncIterable<ImportResult>;
  /** Who is this? The nearest identities and a decision against the gallery's threshold. @throws FACE_REFUSED, NO_PRESENTATION_SCORE */
  identify(request: IdentifyRequest): Promise<Identification>;
  /**
   * Who are these? One answer per face, largest face first; an image without faces gives an empty list. Where the gallery requires a
   * presentation score, one face without refuses the image. @throws FACE_REFUSED, NO_PRESENTATION_SCORE
   */
  identifyFaces(request: IdentifyFacesRequest): Promise<readonly Identification[]>;
  /** Is this that person? @throws IDENTITY_NOT_FOUND, FACE_REFUSED, NO_PRESENTATION_SCORE */
  verify(request: VerifyRequest): Promise<Verification>;
  /** Faces and embeddings of an image; nothing is stored. */
  embed(request: EmbedRequest): Promise<EmbedAnswer>;

  getIdentity(request: IdentityRef): Promise<Identity>;
  listIdentities(request?: ListIdentitiesRequest): Promise<IdentityPage>;
  updateIdentity(request: UpdateIdentityRequest): Promise<Identity>;
  /** Removes one template; the last one may go, too: the identity stays and matches nothing. */
  removeTemplate(request: RemoveTemplateRequest): Promise<Identity>;
  /**
   * Removes a person with all templates; gone from every answer and from the files when it returns. Idempotent. The person and the images stay on
   * a list, as SHA-256, that keeps them from coming back with an import (IDENTITY_ERASED); `enroll` takes them off it.
   */
  eraseIdentity(request: EraseRequest): Promise<EraseAnswer>;

  /** Every template of a gallery with its identity, in the order of identities. */
  exportTemplates(request?: { readonly gallery?: string | undefined } & CallOptions): AsyncIterable<ExportedTemplate>;
  /**
   * Enrolls exported templates again, with their provenance (space, origin, quality, image digest, time); label, groups and attributes go
   * with them, unless they are empty. Each template is a write of its own, many at a time; yields a result an item, in the order in
   * which they finish. Importing the same templates again adds nothing.
   */
  importTemplates(
    items: AsyncIterable<ExportedTemplate> | Iterable<ExportedTemplate>,
    options?: ImportTemplatesOptions,
  ): AsyncIterable<TemplateImportResult>;
  /**
   * Everything in the database as one stream of bytes, consistent while writes go on: the state is that of the moment at which the first
   * byte is asked for. Read it without long pauses, since the data file grows meanwhile by what is written. What comes is biometric data.
   * `verifyBackup` and `restoreDatabase` read it. @throws DATA_CORRUPT
   */
  backup(options?: CallOptions): AsyncIterable<Uint8Array>;
  /**
   * Compares everything with everything while others go on; writes nothing. Yields what disagrees, and returns what was looked at. Read it without
   * long pauses: the data file grows meanwhile by what is written. `checkDirectory` and `repairDirectory` work on a directory that is not open.
   */
  check(request?: CheckRequest): AsyncGenerator<Finding, CheckCounts, void>;
  stats(options?: CallOptions): Promise<Stats>;
  /** Moves galleries to other models without their photos. */
  readonly rollouts: Rollouts;
  /**
   * Compares the people of a gallery with each other, and learns which distance gives which rate of false positives (docs/ACCURACY.md). From then on decisions tell the rate of
   * their distance, and thresholds follow the gallery's targets. Takes up to a minute beside other work; only the last of two at a time stands.
   * @throws GALLERY_NOT_FOUND, SPACE_MISMATCH, INVALID_ARGUMENT
   */
  calibrate(request?: CalibrateRequest): Promise<CalibrateAnswer>;
  /** What the newest calibration says of the gallery as large as it is now; null when there was none in that space. @throws GALLERY_NOT_FOUND, SPACE_MISMATCH */
  getCalibration(request?: CalibrationRef): Promise<Calibration | null>;

  /** Writes a checkpoint of a gallery's graph (of all galleries without a name), so that the next opening is quick. */
  checkpoint(request?: { readonly gallery?: string | undefined } & CallOptions): Promise<void>;
  close(): Promise<void>;
}
