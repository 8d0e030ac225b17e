/**
 * The default pack, `dlib-resnet-v1`: built from the weights in the npm package @vladmandic/face-api by this project's own
 * ONNX writer, so that a newcomer needs no download and the repository holds no weights.
 *
 * Promises: the same dependency gives the same bytes on every machine (no clock, no randomness, arithmetic that IEEE 754 and
 * ECMAScript fix), so the pack's space is the same everywhere. Weights with another digest than those that were measured are
 * refused rather than built into something with the same name.
 */
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import {
  defaultPackId,
  manifestFileName,
  manifestFormatVersion,
  parseManifest,
  type Alignment,
  type GraphInput,
  type PackManifest,
} from '../model-pack.js';
import { landmarkNetwork, landmarkSize } from './landmark-network.js';
import { recognitionDimensions, recognitionNetwork, recognitionSize } from './recognition-network.js';
import { ssdNetwork, ssdSize } from './ssd-network.js';
import { readTfjsWeights } from './tfjs-weights.js';
import { tinyNetwork, tinySize, tinySizeMultiple } from './tiny-network.js';

/** Written into the manifest; a cached pack that was built by anything else is built again. Raise the number with each change. */
export const defaultPackBuild = 'harmonid default pack, build 2, from @vladmandic/face-api 1.7.15';

/** The dependency's models, with the digest of each file of weights. */
const sources = {
  recognition: {
    name: 'face_recognition_model',
    sha256: 'b413e420d6840b2775fba32008db6f3cddb07d485967fb42cfcf379c16a8c589',
  },
  ssd: {
    name: 'ssd_mobilenetv1_model',
    sha256: '2835640602d53718aa6ae9a42896327eaa21beefed056c218d32ca7d79e1e2f8',
  },
  tiny: {
    name: 'tiny_face_detector_model',
    sha256: 'b7503ce7df31039b1c43316a9b865cab6a70dd748cc602d3fa28b551503c3871',
  },
  landmarks: {
    name: 'face_landmark_68_model',
    sha256: '4611ef65c87d836d03d684b30eec4d195d8b219fa1dd58fc58945831c6b9299b',
  },
} as const;

/**
 * dlib's mean face shape: landmarks 17 to 67 (no jaw), as fractions of the face's box.
 * Source: get_face_chip_details in dlib/image_transforms/interpolation.h.
 */
const meanShapeX = [
  0.000213256, 0.0752622, 0.18113, 0.29077, 0.393397, 0.586856, 0.689483, 0.799124, 0.904991, 0.98004, 0.490127,
  0.490127, 0.490127, 0.490127, 0.36688, 0.426036, 0.490127, 0.554217, 0.613373, 0.121737, 0.187122, 0.265825, 0.334606,
  0.260918, 0.182743, 0.645647, 0.714428, 0.793132, 0.858516, 0.79751, 0.719335, 0.254149, 0.340985, 0.428858, 0.490127,
  0.551395, 0.639268, 0.726104, 0.642159, 0.556721, 0.490127, 0.423532, 0.338094, 0.290379, 0.428096, 0.490127,
  0.552157, 0.689874, 0.553364, 0.490127, 0.42689,
];
const meanShapeY = [
  0.106454, 0.038915, 0.0187482, 0.0344891, 0.0773906, 0.0773906, 0.0344891, 0.0187482, 0.038915, 0.106454, 0.203352,
  0.307009, 0.409805, 0.515625, 0.587326, 0.609345, 0.628106, 0.609345, 0.587326, 0.216423, 0.178758, 0.179852,
  0.231733, 0.245099, 0.244077, 0.231733, 0.179852, 0.178758, 0.216423, 0.244077, 0.245099, 0.780233, 0.745405,
  0.727388, 0.742578, 0.727388, 0.745405, 0.780233, 0.864805, 0.902192, 0.909281, 0.902192, 0.864805, 0.784792,
  0.778746, 0.785343, 0.778746, 0.784792, 0.824182, 0.831803, 0.824182,
];
const meanShapeFirst = 17;
const chipPadding = 0.25;

/** dlib leaves out what moves most: jaw (0-16), brows (17-26) and lower lip (55-59, 65-67). */
function isStable(landmark: number): boolean {
  return (landmark >= 27 && landmark <= 54) || (landmark >= 60 && landmark <= 64);
}

/** From a fraction of the face's box to pixels of the chip, which has the padding around it. */
function inChip(fraction: number): number {
  return ((chipPadding + fraction) / (2 * chipPadding + 1)) * recognitionSize;
}

/** Where the stable landmarks belong in dlib's chip. */
function dlibAlignment(): Alignment {
  const points = meanShapeX.flatMap((x, index) => {
    const landmark = meanShapeFirst + index;
    const y = meanShapeY[index] as number;
    return isStable(landmark) ? [{ landmark, x: inChip(x), y: inChip(y) }] : [];
  });
  return { kind: 'landmarks68', points };
}

/** All networks of this pack take RGB 0 to 255 and normalise inside. */
function rgbInput(width: number, height = width): GraphInput {
  return {
    name: 'image',
    width,
    height,
    channels: 'rgb',
    normalisation: { mean: [0, 0, 0], scale: 1 },
  };
}

/** Builds the pack into the empty or missing folder `folder` and returns its manifest, which is written last. */
export async function buildDefaultPack(folder: string): Promise<PackManifest> {
  await mkdir(folder, { recursive: true });
  const weightsFolder = join(
    dirname(createRequire(import.meta.url).resolve('@vladmandic/face-api/package.json')),
    'model',
  );
  const write = async (
    file: string,
    network: (weights: Awaited<ReturnType<typeof readTfjsWeights>>) => Uint8Array,
    source: { readonly name: string; readonly sha256: string },
  ): Promise<{ file: string; sha256: string }> => {
    const bytes = network(await readTfjsWeights(weightsFolder, source.name, source.sha256));
    await writeFile(join(folder, file), bytes);
    return { file, sha256: createHash('sha256').update(bytes).digest('hex') };
  };
  const recognition = await write('dlib-resnet.onnx', recognitionNetwork, sources.recognition);
  const ssd = await write('ssd-mobilenet-v1.onnx', ssdNetwork, sources.ssd);
  const tiny = await write('tiny-yolo-v2.onnx', tinyNetwork, sources.tiny);
  const landmarks = await write('landmarks68.onnx', landmarkNetwork, sources.landmarks);

  const faceApi = 'weights as quantised and shipped in the npm package @vladmandic/face-api 1.7.15 (MIT)';
  const manifest: PackManifest = {
    formatVersion: manifestFormatVersion,
    id: defaultPackId,
    description:
      "dlib's face recognition ResNet v1 (128 dimensions) with face-api's SSD MobileNet v1 and tiny face detectors and its " +
      '68-landmark network, built from the npm package @vladmandic/face-api.',
    licence: {
      spdx: 'MIT AND CC0-1.0',
      files: [
        {
          file: recognition.file,
          spdx: 'CC0-1.0',
          notes: `dlib_face_recognition_resnet_model_v1 by Davis King, released into the public domain (CC0); ${faceApi}`,
        },
        { file: ssd.file, spdx: 'MIT', notes: `trained on WIDER FACE by Vincent Mühler for face-api.js; ${faceApi}` },
        { file: tiny.file, spdx: 'MIT', notes: `trained by Vincent Mühler for face-api.js; ${faceApi}` },
        { file: landmarks.file, spdx: 'MIT', notes: `trained by Vincent Mühler for face-api.js; ${faceApi}` },
      ],
    },
    build: defaultPackBuild,
    embedding: {
      ...recognition,
      input: rgbInput(recognitionSize),
      output: 'descriptor',
      dimensions: recognitionDimensions,
      mirrorAveraging: true,
    },
    alignment: dlibAlignment(),
    detection: {
      default: 'ssd',
      variants: {
        ssd: {
          ...ssd,
          input: rgbInput(ssdSize),
          boxes: 'boxes',
          scores: 'scores',
          scoreThreshold: 0.5,
          iouThreshold: 0.5,
        },
        tiny: {
          ...tiny,
          input: rgbInput(tinySize),
          sizeMultiple: tinySizeMultiple,
          boxes: 'boxes',
          scores: 'scores',
          scoreThreshold: 0.4,
          iouThreshold: 0.4,
        },
      },
    },
    landmarks: { ...landmarks, input: rgbInput(landmarkSize), output: 'landmarks' },
    threshold: {
      value: 0.142,
      source:
        'FMR 1e-3 over the 5,264,036 comparisons between different people among the 3,246 photos (1,815 people) of LFW View 2, with mirror averaging; ' +
        'there 5.3 % of the mated comparisons are above it. With N people enrolled expect an FPIR of up to N times the FMR',
    },
    margin: 0.02,
  };
  // Parsed once before it is written, so that what is built can be read.
  const json = `${JSON.stringify(manifest, null, 2)}\n`;
  const parsed = parseManifest(json, folder);
  await writeFile(join(folder, manifestFileName), json);
  return parsed;
}
