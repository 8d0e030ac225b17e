/** Parsing at the edge, table-driven: what is given, and the code and both sides of the refusal, written by hand. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type { CreateGalleryRequest, EnrollRequest, Sample, SearchOptions } from '../src/api.js';
import type { EmbedderInfo } from '../src/embedder/embedder.js';
import { isHarmonidError, type ErrorCode } from '../src/errors.js';
import {
  parseEnrollment,
  parseGalleryDraft,
  parseGalleryName,
  parseGroups,
  parseIdentityId,
  parseSample,
  parseSearch,
} from '../src/requests.js';

function refuses(work: () => unknown, code: ErrorCode, pattern: RegExp): void {
  assert.throws(work, (error: unknown) => {
    assert.ok(isHarmonidError(error), String(error));
    assert.equal(error.code, code);
    assert.match(error.message, pattern);
    return true;
  });
}

const info: EmbedderInfo = {
  pack: 'a',
  space: 'a:1',
  dimensions: 128,
  threshold: 0.2,
  thresholdSource: 'measured',
  margin: 0.01,
  provider: 'cpu',
  providerReason: '',
  detector: 'ssd',
  mirrorAveraging: false,
  licence: 'CC0-1.0',
  presentation: null,
};

describe('requests', () => {
  it('identities are names of 1 to 128 printable characters, normalised to NFC', () => {
    for (const name of ['a', 'Zoë', '山田太郎', 'o’Brien / 7', '😀'.repeat(128), 'x'.repeat(128)]) {
      assert.equal(parseIdentityId(name), name.normalize('NFC'));
    }
    assert.equal(parseIdentityId('e\u0301'), '\u00e9');
    for (const [name, pattern] of [
      ['', /empty, 1 to 128/],
      ['x'.repeat(10_000), /10000 characters, at most 128/],
      ['a\u0000b', /control/],
      ['\u001b[31mred', /control/],
      ['line\nbreak', /control/],
      ['\ud800', /control/],
      [' alice', /white space/],
      [7 as unknown as string, /number, a string is wanted/],
    ] as const) {
      refuses(() => parseIdentityId(name), 'INVALID_IDENTIFIER', pattern);
    }
  });

  it('never prints control characters back', () => {
    assert.throws(
      () => parseIdentityId('\u001b[31mred'),
      (error: Error) => !error.message.includes('\u001b'),
    );
  });

  it('galleries are file-safe names', () => {
    for (const name of ['lobby', 'site-7.north_2', '0']) assert.equal(parseGalleryName(name), name);
    for (const name of ['../etc', 'a/b', '.hidden', 'with space', 'ü', 'x'.repeat(65), '']) {
      assert.throws(
        () => parseGalleryName(name),
        (error) => isHarmonidError(error) && error.code === 'INVALID_IDENTIFIER',
      );
    }
  });

  it('groups are sets', () => {
    assert.deepEqual(parseGroups(['b', 'a', 'b']), ['a', 'b']);
    assert.equal(parseGroups(undefined), undefined);
    refuses(
      () => parseGroups(Array.from({ length: 65 }, (_, i) => `g${i}`)),
      'INVALID_ARGUMENT',
      /65 groups.*at most 64/,
    );
  });

  it('search options have bounds', () => {
    assert.deepEqual(parseSearch({}), { k: 5, ef: 128, exact: false, groups: undefined, threshold: undefined });
    const table: readonly (readonly [SearchOptions, RegExp])[] = [
      [{ k: 0 }, /k is 0, a whole number from 1 to 1000/],
      [{ k: 1001 }, /1001/],
      [{ k: 1.5 }, /1.5/],
      [{ ef: 5000 }, /ef is 5000.*4096/],
      [{ threshold: 0 }, /above 0 to 4/],
      [{ threshold: Number.NaN }, /NaN/],
      [{ threshold: 4.1 }, /4.1/],
      [{ groups: [] }, /empty list/],
    ];
    for (const [options, pattern] of table) refuses(() => parseSearch(options), 'INVALID_ARGUMENT', pattern);
  });

  it('a sample is exactly one of three', () => {
    refuses(() => parseSample({} as Sample), 'INVALID_ARGUMENT', /no sample was given/);
    const both = { image: new Uint8Array(1), alignedCrop: new Uint8Array(1) } as unknown as Sample;
    refuses(() => parseSample(both), 'INVALID_ARGUMENT', /image and alignedCrop were given/);
  });

  it('an enrolment needs samples, and its idempotency digest covers all that changes the outcome', () => {
    refuses(() => parseEnrollment({ identity: 'a' }), 'INVALID_ARGUMENT', /nothing to enroll/);
    refuses(
      () => parseEnrollment({ identity: 'a', images: ['x' as unknown as Uint8Array] }),
      'INVALID_ARGUMENT',
      /images\[0\] must be the bytes/,
    );
    const base: EnrollRequest = { identity: 'a', images: [Uint8Array.of(1)], idempotencyKey: 'k' };
    const digest = (request: EnrollRequest): string => parseEnrollment(request).idempotency?.digest ?? '';
    assert.equal(digest(base), digest({ ...base, images: [Uint8Array.of(1)] }));
    const others: readonly EnrollRequest[] = [
      { ...base, identity: 'b' },
      { ...base, images: [Uint8Array.of(2)] },
      { ...base, images: [Uint8Array.of(1), Uint8Array.of(1)] },
      { ...base, label: 'x' },
      { ...base, groups: ['g'] },
      { ...base, duplicates: 'ignore' },
      { ...base, images: [], alignedCrops: [Uint8Array.of(1)] },
      { ...base, embeddings: [{ space: 's', vector: [1] }] },
      { ...base, embeddings: [{ space: 's', vector: [2] }] },
    ];
    assert.equal(new Set([base, ...others].map(digest)).size, others.length + 1);
  });

  it('a gallery takes the embedder’s space and threshold, or names its own', () => {
    const own = parseGalleryDraft({ gallery: 'g' }, info);
    assert.deepEqual(
      [own.space, own.dimensions, own.threshold, own.thresholdSource, own.margin],
      ['a:1', 128, 0.2, 'measured', 0.01],
    );
    const set = parseGalleryDraft({ gallery: 'g', threshold: 0.3 }, info);
    assert.deepEqual([set.threshold, set.thresholdSource], [0.3, 'set by the operator']);
    const foreign = parseGalleryDraft({ gallery: 'g', space: 'b:2', dimensions: 512, threshold: 1 }, info);
    assert.deepEqual([foreign.space, foreign.dimensions, foreign.margin], ['b:2', 512, 0]);
    const table: readonly (readonly [CreateGalleryRequest, EmbedderInfo | null, ErrorCode, RegExp])[] = [
      [{ gallery: 'g' }, null, 'EMBEDDER_MISSING', /name space and dimensions/],
      [{ gallery: 'g', space: 'b:2' }, info, 'INVALID_ARGUMENT', /name its dimensions/],
      [{ gallery: 'g', space: 'b:2', dimensions: 512 }, info, 'INVALID_ARGUMENT', /no default threshold/],
      [{ gallery: 'g', dimensions: 512 }, info, 'INVALID_ARGUMENT', /512.*128/],
      [{ gallery: 'g', space: 'b', dimensions: 5000, threshold: 1 }, null, 'INVALID_ARGUMENT', /5000.*4096/],
      [{ gallery: 'g', templatesPerIdentityMax: 0 }, info, 'INVALID_ARGUMENT', /from 1 to 1000/],
      [{ gallery: 'g', margin: -1 }, info, 'INVALID_ARGUMENT', /margin is -1/],
    ];
    for (const [request, embedder, code, pattern] of table)
      refuses(() => parseGalleryDraft(request, embedder), code, pattern);
  });
});
