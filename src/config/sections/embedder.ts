/** How images become vectors: the names are those of `OnnxEmbedderOptions`. */
import { z } from 'zod';
import { executionProviders } from '../../embedder/embedder.js';
import { defaultQualityLimits } from '../../embedder/quality.js';
import { key, section, text } from '../key.js';

const imageLimits = section(
  z.strictObject({
    pixelsMax: key(
      z.int().min(1).max(1_000_000_000).default(50_000_000),
      'Most pixels, width times height. Larger admits larger photos and costs 3 bytes of memory a pixel while in work.',
    ),
    bytesMax: key(
      z.int().min(1).max(1_073_741_824).default(67_108_864),
      'Most encoded bytes. Larger costs memory and copying; `limits.messageBytesMax` bounds what arrives at all.',
    ),
  }),
  'Images beyond are refused with IMAGE_TOO_LARGE before they are decoded.',
);

const qualityLimits = section(
  z
    .strictObject({
      eyeDistanceMinPx: key(
        z.number().min(0).max(10_000).default(defaultQualityLimits.eyeDistanceMinPx),
        'TOO_SMALL: least distance between the eye centres, pixels. Larger refuses distant faces, whose vectors are noisy.',
      ),
      sharpnessMin: key(
        z.number().min(0).max(100_000).default(defaultQualityLimits.sharpnessMin),
        'TOO_BLURRY: least variance of the Laplacian, at a contrast of 30 levels. Larger refuses soft photos, also those of large smooth faces.',
      ),
      brightnessMin: key(
        z.number().min(0).max(255).default(defaultQualityLimits.brightnessMin),
        'TOO_DARK: least mean luminance. Larger refuses faces in shadow.',
      ),
      brightnessMax: key(
        z.number().min(0).max(255).default(defaultQualityLimits.brightnessMax),
        'TOO_BRIGHT: largest mean luminance. Smaller refuses overexposed faces.',
      ),
      contrastMin: key(
        z.number().min(0).max(128).default(defaultQualityLimits.contrastMin),
        'LOW_CONTRAST: least standard deviation of the luminance. Larger refuses fog and backlight.',
      ),
      yawMaxDegrees: key(
        z.number().min(0).max(90).default(defaultQualityLimits.yawMaxDegrees),
        'EXTREME_POSE: largest rotation to either side, degrees. Smaller refuses half profiles.',
      ),
      detectionScoreMin: key(
        z.number().min(0).max(1).default(defaultQualityLimits.detectionScoreMin),
        'LOW_CONFIDENCE: least score of the detector. Larger refuses what may be no face.',
      ),
      insideShareMin: key(
        z.number().min(0).max(1).default(defaultQualityLimits.insideShareMin),
        'CUT_OFF: least share of the face that must lie inside the image. Larger refuses faces at the rim.',
      ),
    })
    .refine(({ brightnessMin, brightnessMax }) => brightnessMin < brightnessMax, {
      path: ['brightnessMax'],
      message: 'must be above brightnessMin, or no face can be enrolled',
    }),
  'When a face is reported with a reason; each gallery says which reasons refuse an enrolment.',
);

export const embedderSection = section(
  z.strictObject({
    pack: key(
      text.optional(),
      'The model pack. Another one names another space: galleries do not follow by themselves.',
      {
        unset: 'the default pack',
        flag: '--pack',
      },
    ),
    provider: key(
      z.enum(executionProviders).default('auto'),
      'Where networks run. `auto` takes the best that starts and says why; one that is named must start, or the server does not.',
      { flag: '--provider' },
    ),
    detector: key(
      text.optional(),
      'One of the face detectors of the pack; in the default pack `ssd`, which finds more, or `tiny`, which is faster.',
      { unset: 'the default of the pack', flag: '--detector' },
    ),
    mirrorAveraging: key(
      z.boolean().optional(),
      'Averages with the mirrored face: fewer errors, twice the cost of recognition. It names another space.',
      { unset: 'the default of the pack', flag: '--mirror' },
    ),
    workers: key(
      z.int().min(1).max(64).optional(),
      'Threads that embed images side by side, each with networks of its own. More embed more images a second on many cores and on a GPU, and each costs some hundred MiB.',
      { unset: 'one for every 4 cores, on a GPU for every 2, at most 4', flag: '--embed-workers' },
    ),
    threads: key(
      z.int().min(0).max(256).optional(),
      'CPU threads of one network in each worker; 0 takes as many as there are physical cores. More than fit slow down, fewer leave some to others.',
      { unset: 'as many as fit the cores', flag: '--threads' },
    ),
    modelsPath: key(
      text.optional(),
      'Where model packs are kept; the default pack is built there at the first start.',
      {
        isPath: true,
        unset: 'the folder `models` of the data directory',
        flag: '--models',
      },
    ),
    batchMax: key(
      z.int().min(1).max(256).default(16),
      'Most faces in a batch. Larger suits GPUs; on CPUs 16 is past the gain.',
    ),
    inFlightMax: key(
      z.int().min(1).max(65_536).default(512),
      'Images waiting or in work beyond which more are refused with OVERLOADED. Larger queues more, holds their bytes, and answers later.',
    ),
    imageLimits,
    qualityLimits,
  }),
  'How images become vectors.',
);
