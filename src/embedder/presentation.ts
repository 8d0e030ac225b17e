/**
 * Detection of presentation attacks (ISO/IEC 30107): what the pack's network sees of a face, and what its numbers mean. Pure.
 *
 * Promises: a score is a number in [0, 1], larger for a person before the camera (bona fide), or it is an error: what a network says that is
 * no such number passes nobody. Nothing here knows whether a network is any good; its threshold is its pack's word.
 */
import { HarmonidError } from '../errors.js';
import type { Box } from './face.js';
import { boxFrame } from './landmarks.js';
import type { PresentationModel } from './model-pack.js';
import type { Similarity } from './resample.js';

/** The crop around the box, upright. Maps the network's input to the image. */
export function presentationFrame(
  { left, top, width, height }: Box,
  { boxScale, input }: Pick<PresentationModel, 'boxScale' | 'input'>,
): Similarity {
  const growth = (boxScale - 1) / 2;
  const crop = {
    left: left - growth * width,
    top: top - growth * height,
    width: boxScale * width,
    height: boxScale * height,
  };
  return boxFrame(crop, input);
}

/** By how much a share may lie beyond 0 and 1 for the rounding of float32, or of float16 on a GPU. */
const roundingMax = 1e-3;

/** The score in one face's row of the output. @throws MODEL_INVALID when the row does not keep the manifest's promise */
export function readPresentation(
  classes: Float32Array,
  { output, bonaFide, softmax }: Pick<PresentationModel, 'output' | 'bonaFide' | 'softmax'>,
): number {
  const value = classes[bonaFide];
  if (value === undefined) {
    throw new HarmonidError(
      'MODEL_INVALID',
      `output "${output}" of the graph has ${classes.length} classes, number ${bonaFide} is wanted`,
    );
  }
  const score = softmax ? softmaxShare(classes, value) : value;
  if (!(score >= -roundingMax && score <= 1 + roundingMax)) {
    throw new HarmonidError('MODEL_INVALID', `output "${output}" of the graph says ${score}, 0 to 1 is wanted`);
  }
  return Math.min(1, Math.max(0, score));
}

/** Of `value` among all. Less the largest, so that no power overflows. */
function softmaxShare(values: Float32Array, value: number): number {
  const largest = Math.max(...values);
  const sum = values.reduce((total, other) => total + Math.exp(other - largest), 0);
  return Math.exp(value - largest) / sum;
}
