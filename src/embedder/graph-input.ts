/**
 * Pixels as the graphs take them: float32 [N, 3, height, width], in the channel order and normalisation of the manifest.
 *
 * Pixels are drawn as RGB planes of 0 to 255 straight into the batch, then turned into the graph's values in place.
 */
import type { GraphInput } from './model-pack.js';
import type { Tensor } from './onnx-session.js';
import type { PlanarImage } from './resample.js';

/** A batch of images, and each of them as planes that share its memory. */
export interface InputBatch {
  readonly tensor: Tensor;
  readonly images: readonly PlanarImage[];
}

/**
 * The memory of one graph's batches, used for one after the other: megabytes that are allocated anew for each batch cost page
 * faults and collections, up to a fifth of the recognition network's time.
 */
export class InputMemory {
  readonly #input: GraphInput;
  #data = new Float32Array(0);

  constructor(input: GraphInput) {
    this.#input = input;
  }

  /** `count` black images. They are the caller's until the next call. */
  blackBatch(count: number): InputBatch {
    const { width, height } = this.#input;
    const length = 3 * width * height;
    if (this.#data.length < count * length) this.#data = new Float32Array(count * length);
    const data = this.#data.subarray(0, count * length).fill(0);
    return {
      tensor: { data, dims: [count, 3, height, width] },
      images: Array.from({ length: count }, (_, i) => ({
        width,
        height,
        data: data.subarray(i * length, (i + 1) * length),
      })),
    };
  }
}

/** From RGB planes of 0 to 255 to the graph's values, in place. */
export function normalise(image: PlanarImage, { channels, normalisation }: GraphInput): void {
  const { data } = image;
  const plane = image.width * image.height;
  if (channels === 'bgr') {
    const red = data.slice(0, plane);
    data.copyWithin(0, 2 * plane, 3 * plane);
    data.set(red, 2 * plane);
  }
  const { mean, scale } = normalisation;
  for (let channel = 0; channel < 3; channel++) {
    const offset = mean[channel] as number;
    const factor = typeof scale === 'number' ? scale : (scale[channel] as number);
    if (offset === 0 && factor === 1) continue;
    for (let i = channel * plane; i < (channel + 1) * plane; i++) data[i] = ((data[i] as number) - offset) * factor;
  }
}

/** `image` with left and right exchanged, into `target` of the same size. */
export function drawMirrored(target: PlanarImage, image: PlanarImage): void {
  const { width, data } = image;
  for (let row = 0; row < data.length; row += width) {
    for (let column = 0; column < width; column++) {
      target.data[row + column] = data[row + width - 1 - column] as number;
    }
  }
}
