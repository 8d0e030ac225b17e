/** Calibration at the edge: every request is checked here, once. */
import {
  defaultGallery,
  type Calibration,
  type CalibrateAnswer,
  type CalibrateRequest,
  type CalibrationRef,
  type CallOptions,
  type KnownProbe,
} from './api.js';
import type { Calibrations } from './calibration/calibrations.js';
import { reportOf } from './calibration/calibration-report.js';
import type { GivenProbe } from './calibration/template-reading.js';
import { HarmonidError } from './errors.js';
import type { IdentityIndex } from './index/index-api.js';
import type { Gallery } from './index/records.js';
import { parseGalleryName, parseIdentityId, requestLimits } from './requests.js';
import { parseVector } from './vector.js';

export interface CalibrationCalls {
  calibrate(request?: CalibrateRequest): Promise<CalibrateAnswer>;
  getCalibration(request?: CalibrationRef): Promise<Calibration | null>;
}

/** @param check refuses a call that comes too late */
export function calibrationCallsOf(
  calibrations: Calibrations,
  index: IdentityIndex,
  check: (options: CallOptions) => void,
): CalibrationCalls {
  const galleryOf = ({ gallery }: CalibrationRef): Gallery =>
    index.getGallery(parseGalleryName(gallery ?? defaultGallery));
  const report = ({ gallery, identityCount, ...targets }: Gallery, space: string): Calibration | null => {
    const calibration = calibrations.find(gallery, space);
    return calibration && reportOf(gallery, calibration, targets, identityCount);
  };
  return {
    async calibrate(request = {}) {
      check(request);
      const record = galleryOf(request);
      const { gallery } = record;
      const { probes = [], onProgress, signal } = request;
      const { space, dimensions } = spaceOf(record, request.space);
      const given = parseProbes(probes, space, dimensions);
      const { calibration, ...outcome } = await calibrations.calibrate({ gallery, space, given, onProgress, signal });
      return { ...outcome, calibration: calibration && report(index.getGallery(gallery), space) };
    },
    async getCalibration(request = {}) {
      check(request);
      const gallery = galleryOf(request);
      return report(gallery, spaceOf(gallery, request.space).space);
    },
  };
}

/** One of the gallery's: what serves, or what it is moving to. @throws SPACE_MISMATCH */
function spaceOf(
  gallery: Gallery,
  wanted: string | undefined,
): { readonly space: string; readonly dimensions: number } {
  const { space, beside } = gallery;
  if (wanted === undefined || wanted === space) return gallery;
  if (beside && wanted === beside.space) return beside;
  throw new HarmonidError(
    'SPACE_MISMATCH',
    `gallery "${gallery.gallery}" is in space ${space}, not in the one that was named`,
    {
      details: {
        gallery: gallery.gallery,
        gallerySpace: space,
        space: wanted.slice(0, requestLimits.identifierLengthMax),
      },
    },
  );
}

function parseProbes(probes: readonly KnownProbe[], space: string, dimensions: number): readonly GivenProbe[] {
  if (probes.length > requestLimits.knownProbesMax) {
    throw new HarmonidError(
      'INVALID_ARGUMENT',
      `${probes.length} probes were given, at most ${requestLimits.knownProbesMax} are allowed in one calibration`,
    );
  }
  return probes.map(({ identity, embedding }, at) => {
    if (embedding.space !== space) {
      throw new HarmonidError(
        'SPACE_MISMATCH',
        `probes[${at}] is of space ${embedding.space}, ${space} is calibrated`,
        {
          details: { probe: at, probeSpace: embedding.space, space },
        },
      );
    }
    return {
      identity: identity === undefined ? null : parseIdentityId(identity),
      vector: parseVector(embedding.vector, dimensions, `space "${space}"`),
    };
  });
}
