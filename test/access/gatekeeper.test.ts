/** Method: a clock moved by hand; keys as they are made. What a key must look like is checked against its published form. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'mocha';
import type { AccessEntry, KeyEntry } from '../../src/access/access-list.js';
import { isKey, keyIdOf, makeApiKey } from '../../src/access/api-key.js';
import { Gatekeeper, namesOf } from '../../src/access/gatekeeper.js';

const start = new Date('2026-01-01T00:00:00Z');
const base = {
  permissions: ['identify'],
  galleries: ['lobby'],
  createdAt: start,
  expiresAt: null,
  revokedAt: null,
  requestsPerSecondMax: null,
} as const;

const door = makeApiKey();
const doorEntry: KeyEntry = { kind: 'key', name: 'door', id: door.id, digest: door.digest, ...base };

function open(list: readonly AccessEntry[]): {
  readonly gatekeeper: Gatekeeper;
  readonly wait: (seconds: number) => void;
} {
  let now = start.getTime();
  return { gatekeeper: new Gatekeeper(list, () => new Date(now)), wait: (seconds) => (now += seconds * 1000) };
}

const showing = (key: string | null, address = '10.0.0.1') => ({ key, certificate: null, address });
const certified = (commonName: string, alternativeNames: readonly string[] = []) => ({
  key: null,
  certificate: { commonName, alternativeNames },
  address: '10.0.0.2',
});

describe('API keys', () => {
  it('have the published form, 256 random bits, and are kept as SHA-256 of their text', () => {
    assert.match(door.text, /^hmd_[a-z2-7]{12}_[A-Za-z0-9_-]{43}$/);
    assert.equal(door.digest, createHash('sha256').update(door.text).digest('hex'));
    assert.equal(keyIdOf(door.text), door.id);
    const texts = new Set(Array.from({ length: 1000 }, () => makeApiKey().text));
    assert.equal(texts.size, 1000);
  });

  it('are not opened by a key that differs in any one character', () => {
    for (let i = 0; i < door.text.length; i++) {
      const other = door.text[i] === 'a' ? 'b' : 'a';
      assert.equal(isKey(door.text.slice(0, i) + other + door.text.slice(i + 1), door.digest), false);
    }
    assert.equal(isKey(door.text, door.digest), true);
  });
});

describe('the gatekeeper', () => {
  it('lets in who is on the list, with what is granted', () => {
    const { gatekeeper } = open([doorEntry]);
    const { actor, grant } = gatekeeper.admit(showing(door.text));
    assert.deepEqual([actor, grant.permissions, grant.galleries], ['key:door', ['identify'], ['lobby']]);
  });

  it('lets in nobody without a key, with a wrong one, with another’s id, or with a key that is no longer good', () => {
    const { gatekeeper, wait } = open([{ ...doorEntry, expiresAt: new Date(start.getTime() + 60_000) }]);
    const stranger = makeApiKey();
    const forged = door.text.slice(0, 17) + stranger.text.slice(17);
    for (const key of [null, '', 'hmd_', stranger.text, forged, door.text.toUpperCase(), `${door.text} `]) {
      assert.throws(() => gatekeeper.admit(showing(key)), { code: 'UNAUTHENTICATED' }, String(key));
    }
    gatekeeper.admit(showing(door.text));
    wait(60);
    assert.throws(() => gatekeeper.admit(showing(door.text)), {
      code: 'UNAUTHENTICATED',
      message: 'key:door expired at 2026-01-01T00:01:00.000Z',
    });
    assert.equal(gatekeeper.refused, 8);
  });

  it('does not tell a wrong secret from an unknown id', () => {
    const { gatekeeper } = open([doorEntry]);
    const told = [`${door.text.slice(0, -1)}A`, `${door.text.slice(0, -1)}B`, makeApiKey().text]
      .filter((key) => key !== door.text)
      .map((key) => {
        try {
          gatekeeper.admit(showing(key));
          return 'let in';
        } catch (error) {
          return error instanceof Error ? error.message : '';
        }
      });
    assert.deepEqual([...new Set(told)], ['the key is not one of this server’s']);
  });

  it('stops looking at guesses from an address, and still lets a right key in from there', () => {
    const { gatekeeper, wait } = open([doorEntry]);
    const guess = (address?: string): string => {
      try {
        gatekeeper.admit(showing(makeApiKey().text, address));
        return 'let in';
      } catch (error) {
        return error instanceof Error && 'code' in error ? String(error.code) : '';
      }
    };
    const codes = Array.from({ length: 100 }, () => guess());
    assert.deepEqual(
      [codes.filter((code) => code === 'UNAUTHENTICATED').length, codes.filter((code) => code === 'OVERLOADED').length],
      [20, 80],
    );
    assert.equal(guess('10.9.9.9'), 'UNAUTHENTICATED');
    gatekeeper.admit(showing(door.text));
    wait(3);
    assert.deepEqual([guess(), guess()], ['UNAUTHENTICATED', 'OVERLOADED']);
    assert.equal(gatekeeper.refused, 103);
  });

  it('follows the list: who is revoked is let in no longer, also where a stream is open', () => {
    const { gatekeeper } = open([doorEntry]);
    const caller = gatekeeper.admit(showing(door.text));
    gatekeeper.recheck(caller);
    gatekeeper.replace([{ ...doorEntry, revokedAt: start }]);
    assert.throws(() => gatekeeper.recheck(caller), { code: 'UNAUTHENTICATED', message: /revoked/ });
    assert.throws(() => gatekeeper.admit(showing(door.text)), { code: 'UNAUTHENTICATED', message: /revoked/ });
    gatekeeper.replace([]);
    assert.throws(() => gatekeeper.recheck(caller), { code: 'UNAUTHENTICATED', message: /no longer on the list/ });
  });

  it('counts what an entry asks a second, with ten seconds in hand', () => {
    const { gatekeeper, wait } = open([{ ...doorEntry, requestsPerSecondMax: 2 }]);
    const caller = gatekeeper.admit(showing(door.text));
    const taken = (): number => {
      for (let count = 0; ; count++) {
        try {
          gatekeeper.count(caller);
        } catch (error) {
          assert.deepEqual((error as { details?: unknown }).details, { retryAfterMs: 500 });
          return count;
        }
      }
    };
    assert.equal(taken(), 20);
    wait(1);
    assert.equal(taken(), 2);
    wait(1000);
    assert.equal(taken(), 20);
  });

  it('lets certificates in by their common name or an alternative one, and no others', () => {
    const gate: AccessEntry = { kind: 'certificate', name: 'gate', subject: 'DNS:gate-7.example', ...base };
    const lift: AccessEntry = { kind: 'certificate', name: 'lift', subject: 'lift-1', ...base };
    const { gatekeeper } = open([gate, lift]);
    assert.equal(gatekeeper.admit(certified('x', ['DNS:other', 'DNS:gate-7.example'])).actor, 'cert:gate');
    assert.equal(gatekeeper.admit(certified('lift-1')).actor, 'cert:lift');
    for (const names of [certified('gate-7.example'), certified('', ['lift-1x']), certified('')]) {
      assert.throws(() => gatekeeper.admit(names), { code: 'UNAUTHENTICATED' });
    }
  });
});

describe('names of a certificate', () => {
  it('are read as Node tells them, and a quoted one is not taken for several', () => {
    assert.deepEqual(
      namesOf({ subject: { CN: 'gate' }, subjectaltname: 'DNS:a.example, IP Address:10.0.0.1, URI:spiffe://x/y' }),
      { commonName: 'gate', alternativeNames: ['DNS:a.example', 'IP Address:10.0.0.1', 'URI:spiffe://x/y'] },
    );
    assert.deepEqual(namesOf({ subject: { CN: ['a', 'b'] }, subjectaltname: 'URI:"http://a.example/, DNS:good, b"' }), {
      commonName: '',
      alternativeNames: ['URI:"http://a.example/, DNS:good, b"'],
    });
  });
});
