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
  formatProbes,
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
  type BackfillSample,
  type CanaryRolloutRequest,
  type FitReport,
  type PairSample,
  type Rollout,
  type RolloutProbesRequest,
  type ShadowRolloutRequest,
  type StartRolloutRequest,
} from '../../src/migrate/rollout.js';
import { formatProgress, formatReport, formatRollout } from '../../src/server/rollout-format.js';
import {
  parseBackfillSample,
  parseCanary,
  parseFit,
  parsePairSample,
  parseProbes,
  parseShadow,
  parseStart,
} from '../../src/server/rollout-parse.js';
import { wireErrorOf } from '../../src/wire/error-status.js';
import * as wire from '../../src/wire/harmonid/v1/rollout.js';
import { gateNumbers, rolloutStages } from '../../src/wire/rollout-enums.js';
import { draft, fit, grown, report } from '../support/rollouts.js';

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
      { gallery: 'lobby', pack: 'arcface-r50', mapMapped: true },
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
      { gallery: 'lobby', far: 1e-4, seed: -3, estimators: ['ridge', 'kernel'] as const },
      { gallery: undefined, far: undefined, seed: undefined },
    ]) {
      const message = sent(wire.FitRolloutRequest, formatFit(request));
      assert.deepEqual(parseFit(message, { signal }), { ...request, signal });
    }
  });

  it('shadow', () => {
    const requests: readonly ShadowRolloutRequest[] = [
      { gallery: 'lobby', overrule: gateNames },
      { gallery: undefined, overrule: [] },
    ];
    for (const request of requests) {
      const message = sent(wire.ShadowRolloutRequest, formatShadow(request));
      assert.deepEqual(parseShadow(message, { signal }), { ...request, signal });
    }
  });

  it('probes, and refuses pairs without consent', () => {
    const requests: readonly RolloutProbesRequest[] = [
      { gallery: 'lobby', share: 0, collectPairs: { consent: true, retentionDays: 30 } },
      { gallery: undefined, share: undefined, collectPairs: undefined },
    ];
    for (const request of requests) {
      const message = sent(wire.SetRolloutProbesRequest, formatProbes(request));
      assert.deepEqual(parseProbes(message, { signal }), { ...request, signal });
    }
    assert.throws(
      () => parseProbes({ collectPairs: { consent: false, retentionDays: 30 } }, { signal }),
      refusedAs('INVALID_ARGUMENT'),
    );
  });

  it('shadow passes a gate that it does not know on to be refused', () => {
    const message = formatShadow({ overrule: ['collapse'] });
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
    assert.deepEqual(Array.from(parsed.vectors?.from ?? []), [Number.NaN, Infinity]);
    assert.deepEqual(Array.from(parsed.vectors?.to ?? []), [Number.NaN]);
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
