/** Rollouts written by hand: with every word of every table, and with nothing where there may be nothing. */
import {
  gateNames,
  rolloutStates,
  type AdapterManifest,
  type FitReport,
  type FitSummary,
  type Gate,
  type Rollout,
} from '../../src/migrate/rollout.js';

const at = Date.UTC(2026, 10, 23, 22, 34, 13, 7);

const manifest: AdapterManifest = {
  sha256: 'ab'.repeat(32),
  bytes: 5_000_000_000,
  fromSpace: 'old',
  toSpace: 'new',
  fromDimensions: 128,
  toDimensions: 512,
  pairsDigest: 'cd'.repeat(32),
  pairs: 3000,
  people: 700,
  estimator: 'ridge',
  folds: 3,
  seed: -7,
  fittedAt: at + 1,
};

export const gates: readonly Gate[] = [
  ...gateNames.map((gate): Gate => ({
    gate,
    verdict: 'passed',
    message: `${gate}: 0.9, at least 0.8 is wanted`,
    remedy: '',
    value: 0.9,
    interval: [0.85, 0.95],
    wanted: 0.8,
    overruled: false,
  })),
  {
    gate: 'collapse',
    verdict: 'refused',
    message: 'Zürich',
    remedy: 'more pairs',
    value: 0,
    interval: [0, 0],
    wanted: 0,
    overruled: true,
  },
  {
    gate: 'groups',
    verdict: 'not-measurable',
    message: '',
    remedy: '',
    value: null,
    interval: null,
    wanted: null,
    overruled: false,
  },
  {
    gate: 'groups',
    verdict: 'not-applicable',
    message: '',
    remedy: '',
    value: null,
    interval: null,
    wanted: null,
    overruled: false,
  },
];

export const fit: FitSummary = {
  forward: manifest,
  backward: { ...manifest, fromSpace: 'new', toSpace: 'old', seed: 0, bytes: 0 },
  scores: [{ name: 'ridge', val: 0.9, fnir: 0.1, behindBest: 0, standardError: 0.01 }],
  chosen: 'ridge',
  far: 1e-3,
  val: { old: 0.8, mapped: 0.85, new: 0.9, fused: 0.87 },
  updateGain: 0.5,
  fusion: { oldShare: 0.4, threshold: 0.7 },
  cells: (['old', 'new', 'mapped-back'] as const).flatMap((probe) =>
    (['old', 'native', 'mapped'] as const).map((template, i) => ({
      probe,
      template,
      threshold: 1.25,
      comparisons: 100_000,
      support: i === 0 ? ('not-measurable' as const) : ('measured' as const),
    })),
  ),
  gates,
};

export const draft: Rollout = {
  gallery: 'lobby',
  state: 'draft',
  from: { pack: null, space: 'old', dimensions: 128, threshold: 0.35 },
  to: { pack: 'arcface-r50', space: 'new', dimensions: 512, threshold: 1.5 },
  startedAt: at,
  pairs: { pairs: 0, people: 0 },
  fit: null,
  templates: { templates: 12, mapped: 0, native: 0, reEmbedded: 0 },
  canary: null,
  shadow: { compared: 0, negativeFlips: 0, positiveFlips: 0, bothFound: 0, meanOld: null, meanNew: null },
  probes: { share: 1, retentionDays: null },
  erasedSinceFit: 0,
  fused: false,
  reEnrols: false,
  alarm: null,
  journal: [],
};

export const grown: Rollout = {
  ...draft,
  state: 'canary',
  pairs: { pairs: 3000, people: 700 },
  fit,
  templates: { templates: 12, mapped: 7, native: 2, reEmbedded: 3 },
  canary: { share: 0, groups: ['staff', 'night'] },
  shadow: { compared: 90, negativeFlips: 1, positiveFlips: 2, bothFound: 80, meanOld: 0, meanNew: 0.7 },
  probes: { share: 0.5, retentionDays: 30 },
  erasedSinceFit: 2,
  fused: true,
  reEnrols: true,
  alarm: 'too many flips',
  journal: rolloutStates.map((state, i) => ({ number: i + 1, at: at + i, state, event: `now ${state}` })),
};

export const report: FitReport = {
  ...fit,
  gallery: 'lobby',
  curves: (['old', 'mapped', 'fused', 'new'] as const).map((row) => ({
    row,
    name: `the ${row} one`,
    roc: [
      [0, 0.1],
      [1, 1],
    ],
    det: [[0.01, 0.5]],
    genuineHistogram: [0.5, 0.5, 0],
    impostorHistogram: [0, 0.25, 0.75],
    binMax: 4,
  })),
  lost: [{ person: 'anna', searches: 3, lost: 1 }],
  calibration: [
    [0, 0],
    [2, 1.5],
  ],
};
