/**
 * Method: every message of a rollout as one side formats it, through its bytes, as the other side parses it. What comes out must be what
 * went in. The values are written by hand, with every word of every table and with nothing where there may be nothing.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import {
  formatBackfillSample,
  formatCanary,
  formatFit,
  formatPairSample,
  formatShadow,
  formatStart,
} from '../../src/client/rollout-format.js';
import {
  parseBackfillResult,
  parsePairResult,
  parseProgress,
  parseReport,
  parseRollout,
} from '../../src/client/rollout-parse.js';
import { HarmonidError, type ErrorCode } from '../../src/errors.js';
import {
  gateNames,
  rolloutStates,
  type AdapterManifest,
  type BackfillSample,
  type CanaryRolloutRequest,
  type FitReport,
  type FitSummary,
  type Gate,
  type PairSample,
  type Rollout,
  type ShadowRolloutRequest,
  type StartRolloutRequest,
} from '../../src/migrate/rollout.js';
import { formatProgress, formatReport, formatRollout } from '../../src/server/rollout-format.js';
import {
  parseBackfillSample,
  parseCanary,
  parseFit,
  parsePairSample,
  parseShadow,
  parseStart,
} from '../../src/server/rollout-parse.js';
import { wireErrorOf } from '../../src/wire/error-status.js';
import * as wire from '../../src/wire/harmonid/v1/rollout.js';
import { gateNumbers, rolloutStages } from '../../src/wire/rollout-enums.js';

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

const gates: readonly Gate[] = [
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

const fit: FitSummary = {
  forward: manifest,
  backward: { ...manifest, fromSpace: 'new', toSpace: 'old', seed: 0, bytes: 0 },
  scores: [{ name: 'ridge', val: 0.9, fnir: 0.1, behindBest: 0, standardError: 0.01 }],
  chosen: 'ridge',
  far: 1e-3,
  val: { old: 0.8, mapped: 0.85, new: 0.9, fused: 0.87 },
  updateGain: 0.5,
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

const draft: Rollout = {
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
  alarm: null,
  journal: [],
};

const grown: Rollout = {
  ...draft,
  state: 'canary',
  pairs: { pairs: 3000, people: 700 },
  fit,
  templates: { templates: 12, mapped: 7, native: 2, reEmbedded: 3 },
  canary: { share: 0, groups: ['staff', 'night'] },
  shadow: { compared: 90, negativeFlips: 1, positiveFlips: 2, bothFound: 80, meanOld: 0, meanNew: 0.7 },
  alarm: 'too many flips',
  journal: rolloutStates.map((state, i) => ({ number: i + 1, at: at + i, state, event: `now ${state}` })),
};

const report: FitReport = {
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

/** Through the bytes of a message. */
function sent<T>(type: { encode(message: T): { finish(): Uint8Array }; decode(bytes: Uint8Array): T }, message: T): T {
  return type.decode(type.encode(message).finish());
}

function refusedAs(code: ErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof HarmonidError && error.code === code;
}

describe('answers about rollouts cross the wire whole', () => {
  it('a rollout in every state, with everything and with nothing', () => {
    for (const rollout of [draft, grown, ...rolloutStates.map((state) => ({ ...draft, state }))]) {
      assert.deepEqual(parseRollout(sent(wire.Rollout, formatRollout(rollout))), rollout);
    }
  });

  it('a fit whose gain cannot be told', () => {
    const rollout: Rollout = { ...grown, fit: { ...fit, updateGain: null, scores: [], cells: [], gates: [] } };
    assert.deepEqual(parseRollout(sent(wire.Rollout, formatRollout(rollout))), rollout);
  });

  it('a report', () => {
    assert.deepEqual(parseReport(sent(wire.FitReport, formatReport(report))), report);
    const empty: FitReport = { ...report, curves: [], lost: [], calibration: [] };
    assert.deepEqual(parseReport(sent(wire.FitReport, formatReport(empty))), empty);
  });

  it('progress of every stage', () => {
    for (const stage of Object.keys(rolloutStages) as (keyof typeof rolloutStages)[]) {
      const progress = { stage, done: 0, total: 10 };
      assert.deepEqual(parseProgress(sent(wire.RolloutProgress, formatProgress(progress))), progress);
    }
  });

  it('results of pairs and of photos, and their errors', () => {
    const error = new HarmonidError('NO_FACE', 'no face was found', { details: { width: 3 } });
    for (const added of [true, false]) {
      const message = sent(wire.AddRolloutPairsResponse, { index: 3, result: { $case: 'added', value: added } });
      assert.deepEqual(parsePairResult(message), { index: 3, added });
    }
    const refusedPair: wire.AddRolloutPairsResponse = {
      index: 0,
      result: { $case: 'error', value: wireErrorOf(error) },
    };
    assert.deepEqual(parsePairResult(sent(wire.AddRolloutPairsResponse, refusedPair)), { index: 0, error });
    for (const replaced of [0, 2]) {
      const message = sent(wire.BackfillRolloutResponse, {
        index: 1,
        identity: 'anna',
        result: { $case: 'replaced', value: replaced },
      });
      assert.deepEqual(parseBackfillResult(message), { index: 1, identity: 'anna', replaced });
    }
    const refusedPhoto: wire.BackfillRolloutResponse = {
      index: 1,
      identity: 'anna',
      result: { $case: 'error', value: wireErrorOf(error) },
    };
    assert.deepEqual(parseBackfillResult(sent(wire.BackfillRolloutResponse, refusedPhoto)), {
      index: 1,
      identity: 'anna',
      error,
    });
  });

  it('what an answer lacks, or has from a newer server, is an error of the server', () => {
    assert.throws(() => parseRollout(undefined), refusedAs('INTERNAL'));
    assert.throws(() => parseReport(undefined), refusedAs('INTERNAL'));
    assert.throws(() => parseRollout({ ...formatRollout(draft), from: undefined }), refusedAs('INTERNAL'));
    assert.throws(() => parseRollout({ ...formatRollout(draft), startedAt: undefined }), refusedAs('INTERNAL'));
    assert.throws(() => parseRollout({ ...formatRollout(draft), state: 99 as 1 }), refusedAs('INTERNAL'));
    assert.throws(() => parsePairResult({ index: 0, result: undefined }), refusedAs('INTERNAL'));
  });
});

describe('requests about rollouts cross the wire whole', () => {
  const { signal } = new AbortController();

  it('start', () => {
    const requests: readonly StartRolloutRequest[] = [
      { gallery: 'lobby', pack: 'arcface-r50' },
      { gallery: undefined, target: { space: 'new', dimensions: 512, threshold: 1.5 } },
      // Neither is for the database to refuse.
      { gallery: 'lobby' },
    ];
    for (const request of requests) {
      const message = sent(wire.StartRolloutRequest, formatStart(request));
      assert.deepEqual(parseStart(message, { signal }), { ...request, signal });
    }
  });

  it('fit', () => {
    for (const request of [
      { gallery: 'lobby', far: 1e-4, seed: -3 },
      { gallery: undefined, far: undefined, seed: undefined },
    ]) {
      const message = sent(wire.FitRolloutRequest, formatFit(request));
      assert.deepEqual(parseFit(message, { signal }), { ...request, signal });
    }
  });

  it('shadow', () => {
    const requests: readonly ShadowRolloutRequest[] = [
      { gallery: 'lobby', overrule: gateNames, share: 0, collectPairs: { consent: true, retentionDays: 30 } },
      { gallery: undefined, overrule: [], share: undefined, collectPairs: undefined },
    ];
    for (const request of requests) {
      const message = sent(wire.ShadowRolloutRequest, formatShadow(request));
      assert.deepEqual(parseShadow(message, { signal }), { ...request, signal });
    }
  });

  it('shadow refuses pairs without consent, and passes a gate that it does not know on to be refused', () => {
    const message = formatShadow({ overrule: ['collapse'], collectPairs: { consent: true, retentionDays: 30 } });
    assert.throws(
      () => parseShadow({ ...message, collectPairs: { consent: false, retentionDays: 30 } }, { signal }),
      refusedAs('INVALID_ARGUMENT'),
    );
    const newer = sent(wire.ShadowRolloutRequest, { ...message, overrule: [gateNumbers.collapse, 99 as 1] });
    assert.deepEqual(parseShadow(newer, { signal }).overrule, ['collapse', 'number 99']);
    assert.throws(() => formatShadow({ overrule: ['luck' as 'collapse'] }), refusedAs('INVALID_ARGUMENT'));
  });

  it('canary', () => {
    const requests: readonly CanaryRolloutRequest[] = [
      { gallery: 'lobby', share: 0.25, groups: ['staff'] },
      // No groups are not the same as none given.
      { gallery: 'lobby', share: 0, groups: [] },
      { gallery: undefined, share: undefined, groups: undefined },
    ];
    for (const request of requests) {
      const message = sent(wire.CanaryRolloutRequest, formatCanary(request));
      assert.deepEqual(parseCanary(message, { signal }), { ...request, signal });
    }
  });

  it('pairs', () => {
    const bytes = Uint8Array.of(1, 2, 3);
    const samples: readonly PairSample[] = [
      { person: 'anna', image: bytes },
      { person: undefined, alignedCrop: bytes },
      { person: 'bert', vectors: { from: Float32Array.of(1, 0.5), to: Float32Array.of(0.25, 0, 3) } },
      { person: 'nothing' },
    ];
    for (const sample of samples) {
      const parsed = parsePairSample(sent(wire.PairSample, formatPairSample(sample)));
      assert.deepEqual(plain(parsed), plain(sample));
    }
    assert.deepEqual(parsePairSample(undefined), { person: undefined });
  });

  it('vectors that float32 does not hold stay wrong', () => {
    const vectors = { from: ['1', 1e300] as unknown as number[], to: [Number.NaN] };
    const parsed = parsePairSample(sent(wire.PairSample, formatPairSample({ vectors })));
    assert.deepEqual([...Array.from(parsed.vectors?.from ?? [])], [Number.NaN, Infinity]);
    assert.deepEqual([...Array.from(parsed.vectors?.to ?? [])], [Number.NaN]);
  });

  it('photos for a backfill', () => {
    const bytes = Uint8Array.of(9);
    const samples: readonly BackfillSample[] = [
      { identity: 'anna', image: bytes },
      { identity: 'bert', alignedCrop: bytes },
      { identity: 'nothing' },
    ];
    for (const sample of samples) {
      const parsed = parseBackfillSample(sent(wire.BackfillSample, formatBackfillSample(sample)));
      assert.deepEqual(plain(parsed), plain(sample));
    }
    assert.deepEqual(parseBackfillSample(undefined), { identity: '' });
  });

  it('what the wire would change in silence is refused before it is sent', () => {
    const image = Uint8Array.of(1);
    const target = { space: 'new', dimensions: 2, threshold: 1 };
    const refused = refusedAs('INVALID_ARGUMENT');
    assert.throws(() => formatStart({ pack: 'arcface-r50', target }), refused);
    assert.throws(() => formatPairSample({ image, alignedCrop: image }), refused);
    assert.throws(() => formatPairSample({ image, vectors: { from: [1], to: [1] } }), refused);
    assert.throws(() => formatPairSample({ image: 'a path' as unknown as Uint8Array }), refused);
    assert.throws(() => formatBackfillSample({ identity: 'anna', image, alignedCrop: image }), refused);
  });
});

/** Bytes are Buffers on one side and plain arrays of bytes on the other. */
function plain(sample: PairSample | BackfillSample): object {
  return Object.fromEntries(
    Object.entries(sample).map(([key, value]: [string, unknown]) => [
      key,
      value instanceof Uint8Array ? [...value] : value,
    ]),
  );
}
