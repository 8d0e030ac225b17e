/**
 * Method: every code of the table through the mapping and back; the expected value is the error that went in. Sizes are held against the
 * 8 KiB of trailers that gRPC peers accept by default.
 */
import assert from 'node:assert/strict';
import { Metadata, status } from '@grpc/grpc-js';
import { describe, it } from 'mocha';
import { errorCodes, HarmonidError, type ErrorCode } from '../../src/errors.js';
import { errorOfStatus, errorOfWire, statusOf, wireErrorOf } from '../../src/wire/error-status.js';

const codes = Object.keys(errorCodes) as ErrorCode[];
const details = {
  reasons: ['TOO_DARK'],
  limit: 5,
  text: 'a "quoted" ö',
  flag: false,
  box: { left: 1.5 },
  nothing: null,
};

describe('errors on the wire', () => {
  for (const code of codes.filter((each) => each !== 'INTERNAL')) {
    it(`${code} comes back with its message and details`, () => {
      const sent = new HarmonidError(code, `what went wrong: 100 % Ångström ${code}`, { details });
      for (const back of [errorOfStatus(statusOf(sent), 'here:1'), errorOfWire(wireErrorOf(sent))]) {
        assert.deepEqual([back.code, back.message, back.details], [sent.code, sent.message, sent.details]);
      }
    });
  }

  it('INTERNAL tells nothing of its own', () => {
    const sent = new HarmonidError('INTERNAL', 'secret message', {
      details: { path: '/secret' },
      cause: new Error('secret cause'),
    });
    const { details: message, metadata, code } = statusOf(sent);
    assert.equal(code, status.INTERNAL);
    assert.ok(!message.includes('secret'));
    assert.ok(!Buffer.from(metadata.get('grpc-status-details-bin')[0] ?? '').includes('secret'));
    assert.deepEqual(wireErrorOf(sent), { code: 'INTERNAL', message: errorCodes.INTERNAL, details: {} });
  });

  it('keeps trailers under 8 KiB whatever the message and the details hold', () => {
    const candidates = Array.from({ length: 1000 }, (_, i) => ({ identity: `identity ${i}`, distance: 0.1 }));
    const sent = new HarmonidError('DUPLICATE_FACE', '\u5b57'.repeat(10_000), { details: { wanted: 1, candidates } });
    const { code, details: message, metadata } = statusOf(sent);
    const headers = { 'grpc-status': `${code}`, 'grpc-message': encodeURI(message), ...metadata.toHttp2Headers() };
    const bytes = Object.entries(headers).reduce(
      (sum, [key, value]) => sum + key.length + String(value).length + 32,
      0,
    );
    assert.ok(bytes < 8192, `${bytes} bytes`);
    assert.deepEqual(errorOfStatus({ code, details: message, metadata }, 'here:1').details, { wanted: 1 });
  });

  it('a message that is no well-formed text still arrives', () => {
    const { details: message } = statusOf(new HarmonidError('INVALID_IDENTIFIER', 'half a pair: \ud83d'));
    assert.equal(decodeURI(encodeURI(message)), 'half a pair: \ufffd');
  });

  it('names the server where the transport failed', () => {
    const expected: [status, ErrorCode][] = [
      [status.DEADLINE_EXCEEDED, 'DEADLINE_EXCEEDED'],
      [status.CANCELLED, 'CANCELLED'],
      [status.RESOURCE_EXHAUSTED, 'LIMIT_EXCEEDED'],
      [status.UNIMPLEMENTED, 'INTERNAL'],
    ];
    for (const [code, ours] of expected) {
      const error = errorOfStatus({ code, details: 'it broke', metadata: new Metadata() }, 'door:7700');
      assert.deepEqual([error.code, error.message], [ours, 'server door:7700: it broke']);
    }
    const absent = errorOfStatus({ code: status.UNAVAILABLE, details: 'Name resolution …' }, 'door:7700');
    assert.deepEqual([absent.code, absent.message], ['UNAVAILABLE', 'no server at door:7700 answers']);
  });
});
