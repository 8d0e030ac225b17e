/**
 * The nouns of a rollout: one gallery moves from the space that serves to another one, without its photos. Plain immutable data, JSON values only.
 *
 * Rates are NIST FRTE's (FMR, FPIR, FNIR) and FaceNet's (VAL at FAR); distances are squared L2.
 */
import type { CalibrationKnots } from '../index/records.js';

/**
 * draft: nothing changes for anybody. fitted: an adapter was fitted, and a gate refuses it. gated: every gate lets it pass, or was overruled.
 * shadow: the gallery is mapped, and writes go to both spaces; the old one serves. canary: the new one serves a share of the probes. active: the new
 * one serves, the old one is kept up to date. completing: the old one is being removed. complete, rolled-back: the end.
 */
export const rolloutStates = [
  'draft',
  'fitted',
  'gated',
  'shadow',
  'canary',
  'active',
  'completing',
  'complete',
  'rolled-back',
] as const;
export type RolloutState = (typeof rolloutStates)[number];

/** What a gallery can be moved to. */
export interface RolloutTarget {
  /** Model pack that embeds in it; null for a space whose vectors are made elsewhere. */
  readonly pack: string | null;
  readonly space: string;
  readonly dimensions: number;
  /** Where no calibration says better. */
  readonly threshold: number;
}

export interface JournalEntry {
  /** Counts from 1. */
  readonly number: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly state: RolloutState;
  /** What was done, for people. */
  readonly event: string;
}

/** Live probes through both spaces, since shadow began. */
export interface ShadowCounts {
  readonly compared: number;
  /** Found in the old space and not in the new one, or as somebody else: people who would stand before the door. */
  readonly negativeFlips: number;
  readonly positiveFlips: number;
  readonly bothFound: number;
  /** Means of the nearest distances. */
  readonly meanOld: number | null;
  readonly meanNew: number | null;
}

export interface RolloutProgressCounts {
  readonly templates: number;
  /** In the new space, by how they came there. */
  readonly mapped: number;
  readonly native: number;
  readonly reEmbedded: number;
}

/** A rollout as it stands. */
export interface Rollout {
  readonly gallery: string;
  readonly state: RolloutState;
  readonly from: RolloutTarget;
  readonly to: RolloutTarget;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly pairs: { readonly pairs: number; readonly people: number };
  /** Null before the first fit. */
  readonly fit: FitSummary | null;
  readonly templates: RolloutProgressCounts;
  /** In canary: share of the image probes that the new space answers, and groups of which it answers all searches. */
  readonly canary: { readonly share: number; readonly groups: readonly string[] } | null;
  readonly shadow: ShadowCounts;
  /** What live image probes are used for: the share that goes through both models, and how long it is kept as pairs; null when it is not. */
  readonly probes: { readonly share: number; readonly retentionDays: number | null };
  /** People of the newest fit who were erased since: its adapter has learned from them, until another fit. */
  readonly erasedSinceFit: number;
  /** In active: whether image probes are judged by both models together. */
  readonly fused: boolean;
  /** In active: whether confident live probes of good quality take the places of mapped templates. */
  readonly reEnrols: boolean;
  /** Why the machine rolled back by itself; null when it did not. */
  readonly alarm: string | null;
  readonly journal: readonly JournalEntry[];
}

/** From the simplest to the richest. */
export const estimators = ['procrustes', 'ridge', 'kernel', 'residual', 'ensemble'] as const;
export type Estimator = (typeof estimators)[number];

// ── Fit and gates ────────────────────────────────────────────────────────────────────────────────────────────────────

export const gateNames = [
  'enough-people',
  'compatibility',
  'calibration',
  'identification',
  'negative-flips',
  'collapse',
  'belonging',
  'groups',
] as const;
export type GateName = (typeof gateNames)[number];

/** One question that decides whether an adapter may serve, answered on people outside its fit. */
export interface Gate {
  readonly gate: GateName;
  /** `not-measurable`: too few pairs or people to know; it refuses like `refused`, except where the gate says that it need not be known. */
  readonly verdict: 'passed' | 'refused' | 'not-measurable' | 'not-applicable';
  /** What was found and what is wanted, for people. */
  readonly message: string;
  /** What would help; empty when it passed. */
  readonly remedy: string;
  readonly value: number | null;
  /** 95 %, bootstrapped over people. */
  readonly interval: readonly [number, number] | null;
  readonly wanted: number | null;
  /** Whether an operator has overruled it. */
  readonly overruled: boolean;
}

export interface EstimatorScore {
  readonly name: string;
  readonly val: number;
  readonly fnir: number;
  readonly behindBest: number;
  readonly standardError: number;
}

/** What an adapter file is, and what it was made of. */
export interface AdapterManifest {
  /** SHA-256 of the ONNX file, hex. */
  readonly sha256: string;
  readonly bytes: number;
  readonly fromSpace: string;
  readonly toSpace: string;
  readonly fromDimensions: number;
  readonly toDimensions: number;
  /** `pairSetDigest` of what it was fitted on. */
  readonly pairsDigest: string;
  readonly pairs: number;
  readonly people: number;
  readonly estimator: string;
  readonly folds: number;
  readonly seed: number;
  /** Milliseconds since 1970. */
  readonly fittedAt: number;
}

export interface FitSummary {
  readonly forward: AdapterManifest;
  /** From the new space back to the old one. */
  readonly backward: AdapterManifest;
  readonly scores: readonly EstimatorScore[];
  readonly chosen: string;
  readonly far: number;
  /** VAL at `far` on people outside the fit: staying, mapped, and photos again. */
  readonly val: { readonly old: number; readonly mapped: number; readonly new: number; readonly fused: number };
  /** (mapped - old) / (new - old). */
  readonly updateGain: number | null;
  readonly fusion: Fusion;
  /** Threshold of every cell of probe and template origin at `far`. */
  readonly cells: readonly ThresholdCell[];
  readonly gates: readonly Gate[];
}

/** How the distances of both models make one: `oldShare` of the old one's, the rest of the new one's. */
export interface Fusion {
  /** Equal weights of standardised distances. */
  readonly oldShare: number;
  /** At the fit's FAR; 0 when it cannot be measured. */
  readonly threshold: number;
}

/** Where a probe and a template come from, and from which distance on they match. */
export interface ThresholdCell {
  readonly probe: 'old' | 'new' | 'mapped-back';
  readonly template: 'old' | 'native' | 'mapped';
  readonly threshold: number;
  /** Impostor comparisons behind it. */
  readonly comparisons: number;
  readonly support: 'measured' | 'not-measurable';
}

/** Everything that a report shows: the summary, and curves on people outside the fit. */
export interface FitReport extends FitSummary {
  readonly gallery: string;
  readonly curves: readonly FitCurve[];
  /** People found when staying and not when mapped, by whom a gate counted negative flips; ids, or the ordinal of somebody not enrolled. */
  readonly lost: readonly { readonly person: string; readonly searches: number; readonly lost: number }[];
  readonly calibration: readonly (readonly [number, number])[];
}

export interface FitCurve {
  readonly row: 'old' | 'mapped' | 'fused' | 'new';
  readonly name: string;
  /** [FAR, VAL], FAR ascending. */
  readonly roc: readonly (readonly [number, number])[];
  /** [FPIR, FNIR], FPIR ascending. */
  readonly det: readonly (readonly [number, number])[];
  /** Shares by distance in equal bins over [0, binMax]. */
  readonly genuineHistogram: readonly number[];
  readonly impostorHistogram: readonly number[];
  readonly binMax: number;
}

/** How far something long is. */
export interface RolloutProgress {
  readonly stage: 'pairs' | 'select' | 'fit' | 'gates' | 'map' | 'embed' | 'clear';
  readonly done: number;
  readonly total: number;
}

export type { CalibrationKnots };

// ── Requests ─────────────────────────────────────────────────────────────────────────────────────────────────────────

interface RolloutCall {
  readonly gallery?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface StartRolloutRequest extends RolloutCall {
  /** A model pack in the data directory (`harmonid models add`). */
  readonly pack?: string | undefined;
  /** Or a space whose vectors are made elsewhere. */
  readonly target?: { readonly space: string; readonly dimensions: number; readonly threshold: number } | undefined;
  /** Map also templates that were mapped from a former model. Default: refuse (ROLLOUT_STATE), since a map of a map is worse. */
  readonly mapMapped?: boolean | undefined;
}

/** One face for fitting: an image, which both models embed, or its vectors in both spaces. */
export interface PairSample {
  /** Identity, or the name of somebody who is not enrolled; left out when nobody knows. */
  readonly person?: string | undefined;
  readonly image?: Uint8Array | undefined;
  /** Already aligned to InsightFace's 112x112. */
  readonly alignedCrop?: Uint8Array | undefined;
  readonly vectors?: { readonly from: ArrayLike<number>; readonly to: ArrayLike<number> } | undefined;
}

export type PairResult =
  | { readonly index: number; readonly added: boolean; readonly error?: undefined }
  | { readonly index: number; readonly error: Error; readonly added?: undefined };

export interface FitRolloutRequest extends RolloutCall {
  /** Operating FAR, [1e-6, 0.02]. Default: that of the gallery's threshold, where the pairs can tell it, else 1e-3. */
  readonly far?: number | undefined;
  /** Default 1. */
  readonly seed?: number | undefined;
  /** Which of the ladder are tried. Default: all; fewer are quicker. */
  readonly estimators?: readonly Estimator[] | undefined;
}

export interface RolloutProbesRequest extends RolloutCall {
  /** Share of the image probes that go through both models, [0, 1]. Default 1. */
  readonly share?: number | undefined;
  /** Keep such probes as pairs: the people have agreed to it. Default: none is kept, and those that are stay until their time is over. */
  readonly collectPairs?: { readonly consent: true; readonly retentionDays: number } | undefined;
}

export interface ShadowRolloutRequest extends RolloutCall {
  /** Gates that are overruled, by name; it is written into the journal. */
  readonly overrule?: readonly GateName[] | undefined;
}

export interface CanaryRolloutRequest extends RolloutCall {
  /** Share of the image probes that the new space answers, [0, 1]. */
  readonly share?: number | undefined;
  /** Groups: searches that name one of them are answered by the new space. */
  readonly groups?: readonly string[] | undefined;
}

export interface ActivateRolloutRequest extends RolloutCall {
  /** Until it is complete, judge image probes by both models together: better than either, at twice the cost. Default false. */
  readonly fuse?: boolean | undefined;
  /**
   * Let a live probe of good quality take the place of its person's mapped template, when the old model is twice as sure of it as a match asks and the new
   * one says the same. Default false: whoever passes as somebody once would stay.
   */
  readonly reEnrol?: boolean | undefined;
}

export interface CompleteRolloutRequest extends RolloutCall {
  /** Do not wait for the grace period (7 days) after the activation. */
  readonly now?: boolean | undefined;
}

export interface BackfillSample {
  readonly identity: string;
  readonly image?: Uint8Array | undefined;
  readonly alignedCrop?: Uint8Array | undefined;
}

export type BackfillResult =
  | { readonly index: number; readonly identity: string; readonly replaced: number; readonly error?: undefined }
  | { readonly index: number; readonly identity: string; readonly error: Error; readonly replaced?: undefined };

/** An identity whose photo would help most: the least certain first. */
export interface BackfillCandidate {
  readonly identity: string;
  /** Larger is less certain. */
  readonly uncertainty: number;
}

/**
 * Moves galleries to other spaces, one rollout a gallery at a time. Every step is durable when it returns, is in the journal, and holds whatever happens
 * to the process; a step that cannot be done from the present state is ROLLOUT_STATE and changes nothing.
 */
export interface Rollouts {
  /** @throws ROLLOUT_STATE when one is under way, MODEL_NOT_FOUND, SPACE_MISMATCH when the gallery is there already */
  start(request: StartRolloutRequest): Promise<Rollout>;
  /** Keeps faces through both models for the fit. Yields a result a sample. */
  addPairs(request: RolloutCall, samples: AsyncIterable<PairSample> | Iterable<PairSample>): AsyncIterable<PairResult>;
  /**
   * What live image probes are used for: a share of them goes through both models, to compare what both spaces say once there are two, and to be kept
   * as pairs of the identities that they matched. From the draft on, so that pairs come from the door where there are no photos.
   * @throws ROLLOUT_STATE, EMBEDDER_MISSING when one of the models is not here
   */
  probes(request: RolloutProbesRequest): Promise<Rollout>;
  /** Fits the whole ladder on the pairs, in a thread of its own, and asks the gates. Returns also when a gate refuses: `state` is then `fitted`. */
  fit(request: FitRolloutRequest): AsyncGenerator<RolloutProgress, Rollout, void>;
  /** @throws ROLLOUT_STATE before a fit */
  report(request: RolloutCall): Promise<FitReport>;
  /** Opens the new space beside the old one and maps the gallery into it. @throws GATE_REFUSED, ROLLOUT_STATE */
  shadow(request: ShadowRolloutRequest): AsyncGenerator<RolloutProgress, Rollout, void>;
  /** @throws ROLLOUT_STATE */
  canary(request: CanaryRolloutRequest): Promise<Rollout>;
  /** The new space serves from now on. @throws ROLLOUT_STATE, GATE_REFUSED when the graph or the live probes speak against it */
  activate(request: ActivateRolloutRequest): Promise<Rollout>;
  /** Photos that are at hand take the places of mapped templates. Yields a result a sample. */
  backfill(
    request: RolloutCall,
    samples: AsyncIterable<BackfillSample> | Iterable<BackfillSample>,
  ): AsyncIterable<BackfillResult>;
  /** Whose photos to look for first. @param limit 1 to 10,000, default 100 */
  backfillOrder(request: RolloutCall & { readonly limit?: number | undefined }): Promise<readonly BackfillCandidate[]>;
  /** The newest rollout of the gallery, also when it has ended. @throws ROLLOUT_NOT_FOUND */
  get(request: RolloutCall): Promise<Rollout>;
  /** The old space serves again, with everybody in it. @throws ROLLOUT_STATE once it is completing */
  rollback(request: RolloutCall): Promise<Rollout>;
  /** The old vectors go. There is no way back. @throws ROLLOUT_STATE before the grace period is over */
  complete(request: CompleteRolloutRequest): Promise<Rollout>;
}
