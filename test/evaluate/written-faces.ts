/**
 * A deterministic embedder for protocols: a photo is a text file that says which faces it shows, as JSON
 * `[{ "box": [left, top, width, height], "vector": [x, y] }]`, in an image of 100 x 100. It detects what is written.
 */
import { HarmonidError, throwIfAborted } from '../../src/errors.js';
import type { Embedder, EmbeddedImage, EmbedOptions } from '../../src/embedder/embedder.js';
import { parseVector } from '../../src/vector.js';

export interface WrittenFace {
  readonly box: readonly [left: number, top: number, width: number, height: number];
  readonly vector: readonly number[];
}

export function openWrittenFaces(dimensions = 2): Embedder & { readonly embedded: () => number } {
  let images = 0;
  const embedImage = async (image: Uint8Array, { signal }: EmbedOptions = {}): Promise<EmbeddedImage> => {
    throwIfAborted(signal);
    images++;
    const text = Buffer.from(image).toString('utf8');
    if (!text.startsWith('[')) throw new HarmonidError('IMAGE_UNREADABLE', 'not a list of faces');
    const faces = JSON.parse(text) as readonly WrittenFace[];
    return {
      width: 100,
      height: 100,
      faces: faces.map(({ box: [left, top, width, height], vector }) => ({
        face: {
          box: { left, top, width, height },
          landmarks: [],
          quality: {
            score: 1,
            reasons: [],
            measures: {
              eyeDistancePx: width / 2,
              sharpness: 100,
              brightness: 128,
              contrast: 40,
              yawDegrees: 0,
              rollDegrees: 0,
              detectionScore: 1,
              insideShare: 1,
              presentationScore: null,
            },
          },
        },
        vector: parseVector(vector, dimensions, 'written faces'),
      })),
      timings: { decodeMs: 0, detectMs: 0, alignMs: 0, embedMs: 0 },
    };
  };
  return {
    info: {
      pack: 'written-faces',
      space: 'written-faces:2',
      dimensions,
      threshold: 0.5,
      thresholdSource: 'by hand',
      margin: 0,
      provider: 'cpu',
      providerReason: 'there is no other',
      detector: 'json',
      mirrorAveraging: false,
      licence: 'Apache-2.0',
      presentation: null,
    },
    embedded: () => images,
    embedImage,
    embedAlignedCrop: embedImage,
    stats: () => ({ images, faces: 0, batches: images, batchMean: 1, inFlight: 0 }),
    close: async () => undefined,
  };
}
