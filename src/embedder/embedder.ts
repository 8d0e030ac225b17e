/**
 * The embedder port: images in, faces with embeddings out.
 *
 * An implementation decodes, detects, aligns and embeds off the caller's thread, micro-batches concurrent calls, and never
 * changes its execution provider silently. It knows nothing of galleries.
 */
import type { UnitVector } from '../vector.js';
import type { Face } from './face.js';

/** Where ONNX graphs run. `auto` takes the best that starts and says which; a provider asked for by name must start. */
export const executionProviders = ['auto', 'cpu', 'webgpu', 'cuda', 'tensorrt', 'coreml', 'directml'] as const;
export type ExecutionProvider = (typeof executionProviders)[number];

/** A face with its unit vector in the embedder's space. */
export interface EmbeddedFace {
  readonly face: Face;
  readonly vector: UnitVector;
}

/** Time spent per stage for one image, milliseconds; waiting in a queue counts for the stage that was waited for. */
export interface EmbedTimings {
  readonly decodeMs: number;
  readonly detectMs: number;
  readonly alignMs: number;
  readonly embedMs: number;
}

/** What was found in one image: faces largest first; none is not an error here. */
export interface EmbeddedImage {
  /** Size of the upright image, pixels. */
  readonly width: number;
  readonly height: number;
  readonly faces: readonly EmbeddedFace[];
  readonly timings: EmbedTimings;
}

/** What an embedder is, for logs, statistics and clients. */
export interface EmbedderInfo {
  /** The model pack's id, e.g. `dlib-resnet-v1`. */
  readonly pack: string;
  /** Names what makes vectors comparable: `<pack id>:<digest of the model and of its preprocessing>`. */
  readonly space: string;
  readonly dimensions: number;
  /** The pack's default decision threshold, squared L2, and where it comes from. */
  readonly threshold: number;
  readonly thresholdSource: string;
  /** Smallest distance between the two nearest identities for a clear match, squared L2. */
  readonly margin: number;
  /** The provider in use (never `auto`). */
  readonly provider: Exclude<ExecutionProvider, 'auto'>;
  /** Why it was chosen, e.g. `asked for by name` or `auto: webgpu could not start (...)`. */
  readonly providerReason: string;
  readonly detector: string;
  readonly mirrorAveraging: boolean;
  readonly licence: string;
  /** What detects presentation attacks; null when nothing does, and faces have no presentation score. */
  readonly presentation: PresentationInfo | null;
}

export interface PresentationInfo {
  /** A score below this is an attack, (0, 1], and where that comes from. */
  readonly threshold: number;
  readonly thresholdSource: string;
}

/** Counters since start. */
export interface EmbedderStats {
  readonly images: number;
  readonly faces: number;
  readonly batches: number;
  /** Mean faces per recognition batch. */
  readonly batchMean: number;
  /** Images waiting or in work now. */
  readonly inFlight: number;
}

/**
 * How a crop is aligned: `chip`, as the pack wants it; `arcface112`, as InsightFace's 112x112 crops are: every pack's chip can be cut out of those; `centre`, a
 * photo of any size that is believed to show a face of the usual size in its middle, as LFW's do: the chip is always the same part of it.
 */
export const cropAlignments = ['chip', 'arcface112', 'centre'] as const;
export type CropAlignment = (typeof cropAlignments)[number];

export interface EmbedOptions {
  /** Aborting rejects with CANCELLED (or the signal's own HarmonidError) and drops work that has not begun. */
  readonly signal?: AbortSignal | undefined;
  /** Embed only the largest face; the others are still detected and counted. Default false. */
  readonly largestOnly?: boolean | undefined;
}

export interface EmbedCropOptions {
  readonly signal?: AbortSignal | undefined;
  /** Default `chip`. */
  readonly alignment?: CropAlignment | undefined;
}

export interface Embedder {
  readonly info: EmbedderInfo;
  /**
   * Finds, aligns and embeds every face of an encoded image.
   * @throws IMAGE_EMPTY, IMAGE_UNREADABLE, IMAGE_TOO_LARGE, OVERLOADED, CANCELLED, CLOSED
   */
  embedImage(image: Uint8Array, options?: EmbedOptions): Promise<EmbeddedImage>;
  /**
   * Embeds an encoded image that is already aligned, by default to the pack's chip (e.g. 150x150), with no detection.
   * @throws IMAGE_EMPTY, IMAGE_UNREADABLE, IMAGE_WRONG_SIZE, OVERLOADED, CANCELLED, CLOSED
   */
  embedAlignedCrop(crop: Uint8Array, options?: EmbedCropOptions): Promise<EmbeddedImage>;
  stats(): EmbedderStats;
  /** Finishes what has begun, refuses what has not (CLOSED), frees the sessions. Idempotent. */
  close(): Promise<void>;
}
