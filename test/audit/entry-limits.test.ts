/** Method: an audited database over a real log, asked for what is refused; the bytes on the disk are counted, and the lengths of what is read back. */
import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { describe, it } from 'mocha';
import { audited } from '../../src/audit/audited-database.js';
import { axis } from '../server/served.js';
import { withDatabase } from '../support/database.js';
import { entry, found, inPlace, records } from './log-place.js';

describe('the length of an entry', () => {
  it('is bounded, whatever a refused request holds', () =>
    inPlace(async ({ file, folder, open }) => {
      const log = await open();
      await withDatabase({ embedder: false }, async (database) => {
        const own = audited(database, log, { actor: 'key:door', peer: null, requestId: 'q'.repeat(10_000) });
        const identity = 'x'.repeat(3 << 20);
        await assert.rejects(own.enroll({ identity, embeddings: [axis(0)] }), { code: 'INVALID_IDENTIFIER' });
        const groups = Array.from({ length: 20_000 }, () => 'y'.repeat(1_000));
        await assert.rejects(own.rollouts.canary({ gallery: 'lobby', groups }), { code: 'INVALID_ARGUMENT' });
      });
      await log.close();
      assert.deepEqual(
        (await records(folder)).map(({ action, outcome }) => `${action} ${outcome}`),
        ['file OK', 'enroll begun', 'enroll INVALID_IDENTIFIER', 'rollout begun', 'rollout INVALID_ARGUMENT'],
      );
      // Two with the facts of the rollout, each of at most 64 Ki characters, and three short ones.
      assert.ok((await stat(file(1))).size < 2 * 65_536 + 5 * 2_048);
      assert.deepEqual(await found(folder), []);
    }));

  it('is cut where it can be seen, and only then', () =>
    inPlace(async ({ folder, open }) => {
      const log = await open();
      const list = Array.from({ length: 10_000 }, (_, i) => `person number ${i}`);
      await log.append(entry('n'.repeat(256)));
      await log.append({ ...entry('n'.repeat(257)), facts: { list, text: 't'.repeat(100_000), few: [1, 2] } });
      await log.close();
      const [, whole, cut] = await records(folder);
      assert.equal(whole?.identity, 'n'.repeat(256));
      assert.equal(cut?.identity, `${'n'.repeat(255)}…`);
      const kept = cut.facts['list'] as readonly string[];
      assert.deepEqual(kept.slice(0, -1), list.slice(0, kept.length - 1));
      assert.ok(kept.length > 500);
      assert.equal(kept.at(-1), `… ${list.length - kept.length + 1} more`);
      assert.equal(cut.facts['text'], `${'t'.repeat(255)}…`);
      assert.deepEqual(cut.facts['few'], [1, 2]);
    }));
});
