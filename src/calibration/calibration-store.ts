/** Where calibrations are kept: documents of their gallery, one a space, put in the same transaction as the threshold that comes of them. */
import { HarmonidError } from '../errors.js';
import type { GalleryMove, IdentityIndex } from '../index/index-api.js';
import type { GalleryCalibration } from './gallery-calibration.js';

const beginning = 'calibration/';
/** Of what the documents hold. */
const version = 1;

export class CalibrationStore {
  readonly #index: IdentityIndex;
  /** By gallery and space, with the moment at which the gallery was made: one that was deleted and made again is another. */
  readonly #known = new Map<string, { readonly madeAt: number; readonly calibration: GalleryCalibration | null }>();

  constructor(index: IdentityIndex) {
    this.#index = index;
  }

  /** Null when there is none in that space. @throws GALLERY_NOT_FOUND, DATA_CORRUPT */
  find(gallery: string, space: string): GalleryCalibration | null {
    const madeAt = this.#index.getGallery(gallery).createdAt.getTime();
    const key = `${gallery} ${space}`;
    const known = this.#known.get(key);
    if (known?.madeAt === madeAt) return known.calibration;
    const bytes = this.#index.document(gallery, beginning + space);
    const calibration = bytes ? decode(gallery, bytes) : null;
    this.#known.set(key, { madeAt, calibration });
    return calibration;
  }

  /** @param lanes what changes with it */
  async put(gallery: string, calibration: GalleryCalibration, lanes: GalleryMove['lanes']): Promise<void> {
    const { space } = calibration;
    await this.#index.move(gallery, { lanes, documents: { [beginning + space]: encode(calibration) } });
    const madeAt = this.#index.getGallery(gallery).createdAt.getTime();
    this.#known.set(`${gallery} ${space}`, { madeAt, calibration });
  }
}

function encode(calibration: GalleryCalibration): Buffer {
  return Buffer.from(JSON.stringify({ version, ...calibration }));
}

function decode(gallery: string, bytes: Buffer): GalleryCalibration {
  const { version: written, ...calibration } = JSON.parse(bytes.toString()) as GalleryCalibration & { version: number };
  if (written === version) return calibration;
  throw new HarmonidError(
    'DATA_CORRUPT',
    `the calibration of gallery "${gallery}" is of version ${String(written)}, this program reads ${version}: calibrate it again`,
    { details: { gallery, version: written } },
  );
}
