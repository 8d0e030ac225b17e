/**
 * Which face of a photo is meant when several were found.
 *
 * Photos of face data sets are about one person who stands in the middle; others look in from the edges. Pure.
 */
import type { EmbeddedFace, EmbeddedImage } from '../embedder/embedder.js';

/**
 * `central`: the face with the largest size-weighted centrality, area x exp(-(d / half diagonal x 2)^2), d the distance of
 * its centre from the image's; a face in a corner must be some fifty times larger to win. `largest`: the largest box.
 */
export const faceChoices = ['central', 'largest'] as const;
export type FaceChoice = (typeof faceChoices)[number];

/** The face that is meant; undefined when none was found. Equal faces: the first. */
export function chooseFace(image: EmbeddedImage, choice: FaceChoice): EmbeddedFace | undefined {
  let chosen: EmbeddedFace | undefined;
  let chosenWeight = -Infinity;
  for (const embedded of image.faces) {
    const weight = weightOf(embedded, image, choice);
    if (weight > chosenWeight) [chosen, chosenWeight] = [embedded, weight];
  }
  return chosen;
}

function weightOf({ face: { box } }: EmbeddedFace, { width, height }: EmbeddedImage, choice: FaceChoice): number {
  const area = box.width * box.height;
  if (choice === 'largest') return area;
  const distance = Math.hypot(box.left + box.width / 2 - width / 2, box.top + box.height / 2 - height / 2);
  const halfDiagonal = Math.hypot(width, height) / 2;
  return area * Math.exp(-(((distance / halfDiagonal) * 2) ** 2));
}
