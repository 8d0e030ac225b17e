/**
 * A model pack: a folder with `manifest.json` and ONNX files, and everything that must be known to run them.
 *
 * Promises: a manifest is parsed once, strictly (an unknown field is an error that names it). Every file's SHA-256 is
 * compared with the manifest before anything native sees its bytes; `readPackFile` hands out only bytes that it has
 * just verified. A file that is named is a plain file inside the folder. Nothing here runs a model, writes a file or
 * knows where packs are kept.
 *
 * Every graph takes one float32 input [N, 3, height, width], N free, and says in its `input` what the values are. The
 * outputs are contracts, too: see `embeddingSchema`, `detectorSchema`, `landmarksSchema`, `presentationSchema`.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { HarmonidError } from '../errors.js';
import { dimensionsMax } from '../vector.js';

/** The id of the pack that is always there: see packs/default-pack.ts. */
export const defaultPackId = 'dlib-resnet-v1';

/** The version of the manifest's format that this code reads and writes. */
export const manifestFormatVersion = 1;

export const manifestFileName = 'manifest.json';

/** What a pack may be called; also the name of its folder, so nothing that leads elsewhere. */
export const packIdPattern = /^[a-z0-9][a-z0-9._-]{0,63}$/;

const slug = z
  .string()
  .regex(packIdPattern, 'a slug of 1 to 64 characters a-z 0-9 . _ - is wanted, e.g. "arcface-r50"');
const text = z.string().min(1).max(4096);
const finite = z.number().finite();
const pixels = z.int().min(1).max(4096);

/** A plain name: no folder, nothing hidden, so that a manifest cannot point outside its folder. */
const fileName = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/, 'a plain file name in the folder of the pack is wanted');

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 of 64 lower-case hexadecimal digits is wanted');

const graphFile = {
  /** ONNX file in the pack's folder. */
  file: fileName,
  /** SHA-256 of that file. */
  sha256,
};

/** What a graph's input holds: float32 [N, 3, height, width]. */
const inputSchema = z.strictObject({
  /** The input's name in the graph. */
  name: text,
  /** Pixels. */
  width: pixels,
  height: pixels,
  /** Order of the three planes. */
  channels: z.enum(['rgb', 'bgr']),
  /**
   * value = (pixel - mean) * scale, pixel in 0 to 255, in the order of `channels`. Mean [0, 0, 0] and scale 1 say that the graph
   * normalises inside.
   */
  normalisation: z.strictObject({
    mean: z.tuple([finite, finite, finite]),
    scale: z.union([finite, z.tuple([finite, finite, finite])]),
  }),
});

const embeddingSchema = z.strictObject({
  ...graphFile,
  /** The aligned chip. */
  input: inputSchema,
  /** Name of the output [N, dimensions]; it need not be normalised, the embedder makes unit vectors of it. */
  output: text,
  dimensions: z.int().min(2).max(dimensionsMax),
  /** Whether the embedding of a chip is, by default, unit(f(chip) + f(mirrored chip)): more accurate, twice the cost. */
  mirrorAveraging: z.boolean(),
});

/** A point in the chip, pixels; pixel centres are whole numbers. */
const chipPoint = z.strictObject({ x: finite, y: finite });

const alignmentSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('landmarks68'),
    /** Where landmarks (iBUG 300-W order, 0 to 67) belong in the chip: a least-squares similarity over all that are listed. */
    points: z
      .array(z.strictObject({ landmark: z.int().min(0).max(67), x: finite, y: finite }))
      .min(2)
      .max(68),
  }),
  z.strictObject({
    kind: z.literal('five-points'),
    /** Centres of the eyes; left and right are the image's. */
    leftEye: chipPoint,
    rightEye: chipPoint,
    /** Tip of the nose. */
    nose: chipPoint,
    mouthLeft: chipPoint,
    mouthRight: chipPoint,
  }),
]);

const detectorSchema = z.strictObject({
  ...graphFile,
  /** The image scaled to fit with its aspect ratio kept, at the top left corner; the rest is pixel 0. */
  input: inputSchema,
  /** When present, the graph takes any width and height that are multiples of this; `input` has the default ones. */
  sizeMultiple: z.int().min(1).max(512).optional(),
  /** Name of the output [N, candidates, 4]: left, top, right, bottom as fractions of the input's width and height. */
  boxes: text,
  /** Name of the output [N, candidates]: scores in [0, 1]. Non-maximum suppression is done outside. */
  scores: text,
  /** Candidates below this score are dropped. */
  scoreThreshold: z.number().gt(0).lt(1),
  /** Of two boxes that overlap by more than this intersection over union, the one with the lower score is dropped. */
  iouThreshold: z.number().gt(0).lt(1),
});

const detectionSchema = z.strictObject({
  /** Name of the variant that is used unless another is asked for. */
  default: slug,
  /** By name, e.g. `ssd`, `tiny`. */
  variants: z.record(slug, detectorSchema),
});

const landmarksSchema = z.strictObject({
  ...graphFile,
  /** A square around the detected box; what lies outside the image is pixel 0. */
  input: inputSchema,
  /** Name of the output [N, 68, 2]: x, y as fractions of the input's width and height, iBUG 300-W order. */
  output: text,
});

/** Detection of presentation attacks (ISO/IEC 30107-1: a photo, a screen, a mask before the camera). */
const presentationSchema = z.strictObject({
  ...graphFile,
  /** The crop around a face's box, its aspect ratio kept; what lies outside the image is pixel 0. */
  input: inputSchema,
  /** Size of the crop, of which the box is the middle, as a multiple of the box's: 1 just holds the box, 2.7 shows what is around a head. */
  boxScale: z.number().min(0.5).max(16),
  /** Name of the output [N, classes]. */
  output: text,
  /** Position among the classes of the one that is a person before the camera (bona fide), from 0. */
  bonaFide: z.int().min(0).max(1023),
  /** Whether the classes are logits, to be turned into shares of 1 by a softmax. Otherwise the value is the score, in [0, 1]. */
  softmax: z.boolean(),
  threshold: z.strictObject({
    /** A score below this is an attack. Larger refuses more attacks, and more people (APCER, BPCER of ISO/IEC 30107-3). */
    value: z.number().gt(0).max(1),
    /** How it was measured. */
    source: text,
  }),
});

const manifestSchema = z
  .strictObject({
    /** Version of this format. */
    formatVersion: z.literal(manifestFormatVersion),
    /** Names the pack in a models directory, and opens the name of its space. */
    id: slug,
    /** One paragraph for people. */
    description: text,
    licence: z.strictObject({
      /** SPDX expression that covers all files. */
      spdx: text,
      /** Per file: where it comes from and under which terms. */
      files: z.array(z.strictObject({ file: fileName, spdx: text, notes: text })),
    }),
    /** Names the builder and its input, for packs that are built rather than delivered; a cache is rebuilt when it changes. */
    build: text.optional(),
    embedding: embeddingSchema,
    alignment: alignmentSchema,
    /** `default` borrows the default pack's. */
    detection: z.union([z.literal('default'), detectionSchema]),
    /** `default` borrows the default pack's. */
    landmarks: z.union([z.literal('default'), landmarksSchema]),
    /** Left out: faces have no presentation score. No part of the space. */
    presentation: presentationSchema.optional(),
    threshold: z.strictObject({
      /** Squared L2 distance between unit vectors within which two faces are said to be one person's. */
      value: z.number().gt(0).max(4),
      /** How it was measured. */
      source: text,
    }),
    /** Two identities within the threshold and nearer to each other than this are ambiguous, squared L2. */
    margin: z.number().min(0).max(4),
  })
  .superRefine((manifest, context) => {
    if (manifest.detection !== 'default' && !Object.hasOwn(manifest.detection.variants, manifest.detection.default)) {
      context.addIssue({
        code: 'custom',
        path: ['detection', 'default'],
        message: `"${manifest.detection.default}" is none of the variants ${Object.keys(manifest.detection.variants).join(', ')}`,
      });
    }
    if (manifest.alignment.kind === 'landmarks68') {
      const landmarks = manifest.alignment.points.map((point) => point.landmark);
      if (new Set(landmarks).size !== landmarks.length) {
        context.addIssue({ code: 'custom', path: ['alignment', 'points'], message: 'a landmark is listed twice' });
      }
    }
  });

export type PackManifest = z.infer<typeof manifestSchema>;
export type GraphInput = z.infer<typeof inputSchema>;
export type Alignment = z.infer<typeof alignmentSchema>;
export type EmbeddingModel = z.infer<typeof embeddingSchema>;
export type DetectorModel = z.infer<typeof detectorSchema>;
export type DetectionModels = z.infer<typeof detectionSchema>;
export type LandmarksModel = z.infer<typeof landmarksSchema>;
export type PresentationModel = z.infer<typeof presentationSchema>;

/** A file of a pack with the digest that its bytes must have. */
export interface PackFile {
  readonly path: string;
  readonly sha256: string;
}

/** A graph with its verified file. */
export type WithFile<Model> = Model & { readonly packFile: PackFile };

/** A pack whose files were all found and verified, with what it borrows put in place. Plain data: it crosses threads. */
export interface ModelPack {
  readonly folder: string;
  readonly manifest: PackManifest;
  readonly embedding: WithFile<EmbeddingModel>;
  readonly detection: {
    readonly default: string;
    readonly variants: Readonly<Record<string, WithFile<DetectorModel>>>;
  };
  readonly landmarks: WithFile<LandmarksModel>;
  /** Null when the pack has none; it is never borrowed. */
  readonly presentation: WithFile<PresentationModel> | null;
}

function invalid(folder: string, what: string, details: Record<string, unknown> = {}, cause?: unknown): HarmonidError {
  return new HarmonidError('MODEL_INVALID', `model pack ${folder}: ${what}`, { details, cause });
}

/**
 * Parses the text of a manifest.
 * @param folder names the pack in messages.
 * @throws MODEL_INVALID with the path of each field that is wrong.
 */
export function parseManifest(json: string, folder: string): PackManifest {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw invalid(folder, `${manifestFileName} is not JSON: ${String(error)}`, {}, error);
  }
  const parsed = manifestSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => ({
    field: issue.path.length === 0 ? '(top level)' : issue.path.join('.'),
    message: issue.message,
  }));
  const shown = problems.map((problem) => `${problem.field}: ${problem.message}`).join('; ');
  throw invalid(folder, `${manifestFileName}: ${shown}`, { problems });
}

/**
 * The manifest of the pack in `folder`; its model files are not looked at.
 * @throws MODEL_NOT_FOUND, MODEL_INVALID
 */
export async function readManifest(folder: string): Promise<PackManifest> {
  let json: string;
  try {
    json = await readFile(join(folder, manifestFileName), 'utf8');
  } catch (error) {
    throw new HarmonidError(
      'MODEL_NOT_FOUND',
      `there is no model pack at ${folder}: ${manifestFileName} cannot be read`,
      {
        details: { folder },
        cause: error,
      },
    );
  }
  return parseManifest(json, folder);
}

/** Every graph file that the pack itself has to hold (what it borrows is elsewhere). */
export function ownFiles(manifest: PackManifest): readonly { readonly file: string; readonly sha256: string }[] {
  const files: { file: string; sha256: string }[] = [manifest.embedding];
  if (manifest.detection !== 'default') files.push(...Object.values(manifest.detection.variants));
  if (manifest.landmarks !== 'default') files.push(manifest.landmarks);
  if (manifest.presentation) files.push(manifest.presentation);
  return files;
}

/**
 * The bytes of a pack's file, verified: what is returned is what was hashed.
 * @throws MODEL_NOT_FOUND when it is missing, MODEL_INVALID naming both digests when it is another file.
 */
export async function readPackFile(file: PackFile): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(file.path);
  } catch (error) {
    throw new HarmonidError('MODEL_NOT_FOUND', `the model file ${file.path} cannot be read`, {
      details: { path: file.path },
      cause: error,
    });
  }
  const actual = createHash('sha256').update(bytes).digest('hex');
  if (actual !== file.sha256) {
    throw new HarmonidError(
      'MODEL_INVALID',
      `the model file ${file.path} has SHA-256 ${actual}, its manifest says ${file.sha256}`,
      { details: { path: file.path, actualSha256: actual, manifestSha256: file.sha256 } },
    );
  }
  return bytes;
}

/**
 * The manifest of the pack in `folder`, after every file of its own was verified.
 * @throws MODEL_NOT_FOUND, MODEL_INVALID
 */
export async function verifyPack(folder: string): Promise<PackManifest> {
  const manifest = await readManifest(folder);
  // One after the other: a pack is read once at start, and its largest file need not be in memory twice.
  for (const { file, sha256: digest } of ownFiles(manifest)) {
    await readPackFile({ path: join(folder, file), sha256: digest });
  }
  return manifest;
}

/**
 * Reads and verifies the pack in `folder`.
 * @param lend gives the pack whose detection and landmarks are borrowed by one that says `"default"`; called only then.
 * @throws MODEL_NOT_FOUND, MODEL_INVALID
 */
export async function loadModelPack(folder: string, lend?: () => Promise<ModelPack>): Promise<ModelPack> {
  const manifest = await verifyPack(folder);
  const withFile = <Model extends { file: string; sha256: string }>(model: Model): WithFile<Model> => ({
    ...model,
    packFile: { path: join(folder, model.file), sha256: model.sha256 },
  });
  let lender: ModelPack | undefined;
  if (manifest.detection === 'default' || manifest.landmarks === 'default') {
    if (lend === undefined) {
      throw new HarmonidError(
        'MODEL_NOT_FOUND',
        `model pack "${manifest.id}" borrows from the default pack, and no default pack was given`,
      );
    }
    lender = await lend();
  }
  const borrow = (): ModelPack => {
    if (lender === undefined) throw invalid(folder, 'it borrows from the default pack and is the default pack');
    return lender;
  };
  return {
    folder,
    manifest,
    embedding: withFile(manifest.embedding),
    detection:
      manifest.detection === 'default'
        ? borrow().detection
        : {
            default: manifest.detection.default,
            variants: Object.fromEntries(
              Object.entries(manifest.detection.variants).map(([name, detector]) => [name, withFile(detector)]),
            ),
          },
    landmarks: manifest.landmarks === 'default' ? borrow().landmarks : withFile(manifest.landmarks),
    presentation: manifest.presentation ? withFile(manifest.presentation) : null,
  };
}

/**
 * Version of the code between a photo and the network's input (landmark looks, fit, resampling). Raise it with every change that
 * moves vectors: what was enrolled before is then another space, and compared only after a migration.
 */
export const pipelineVersion = 1;

/** JSON with sorted keys and no white space, so that equal values have equal text. */
function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(',')}}`;
  }
  return JSON.stringify(value);
}

/**
 * The name of the space in which the vectors of a pack may be compared: `<id>:<16 hex digits>`, over the digest of the
 * embedding network and all that decides which pixels it sees, the version of our own code included.
 *
 * Detector and landmark network are not part of it: they only propose where the points are. Alignment says where the
 * points belong, and the same face found by another detector gives the same chip up to noise that the threshold absorbs.
 * Neither is the detection of presentation attacks, which moves no vector.
 * @param mirrorAveraging what is in force, where that differs from the manifest.
 */
export function spaceName(manifest: PackManifest, mirrorAveraging = manifest.embedding.mirrorAveraging): string {
  const { sha256: model, input, dimensions } = manifest.embedding;
  const preprocessing = canonicalJson({
    alignment: manifest.alignment,
    channels: input.channels,
    dimensions,
    height: input.height,
    mirrorAveraging,
    normalisation: input.normalisation,
    pipelineVersion,
    width: input.width,
  });
  const digest = createHash('sha256').update(model).update('\n').update(preprocessing).digest('hex');
  return `${manifest.id}:${digest.slice(0, 16)}`;
}
