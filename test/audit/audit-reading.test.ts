/**
 * Method: real files, changed by hand or by retention while they are read. What should be found is counted by hand.
 */
import assert from 'node:assert/strict';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { describe, it } from 'mocha';
import type { AuditRecord } from '../../src/audit/audit-line.js';
import { queryAuditLog } from '../../src/audit/audit-query.js';
import { entry, found, inPlace, records, shape } from './log-place.js';

describe('what reads an audit log', () => {
  it('takes nothing for an entry that is none, and goes on', () =>
    inPlace(async ({ file, folder, open }) => {
      const log = await open();
      await log.append(entry('a'));
      await log.close();
      const hash = 'a'.repeat(64);
      const whole = {
        sequence: 3,
        at: '2026-03-01T12:00:00Z',
        action: 'retired',
        actor: 'x',
        outcome: 'OK',
        peer: null,
        requestId: null,
        gallery: null,
        identity: null,
        facts: {},
      };
      const others = [
        { ...whole, facts: undefined },
        { ...whole, facts: null },
        { ...whole, at: 'never' },
        { ...whole, actor: 7 },
        { ...whole, identity: { toString: 1 } },
        { ...whole, facts: { files: [null, 7, { file: 1 }] } },
      ];
      for (const other of others) await appendFile(file(1), `${JSON.stringify({ hash, ...other })}\n`);
      // The last has all that an entry has, and only its hash is wrong.
      assert.deepEqual(await found(folder), ['1:3', '1:4', '1:5', '1:6', '1:7', '1:8']);
      assert.deepEqual(shape(await records(folder)), ['file', 'a', 'retired']);
    }));

  it('tells bytes apart that read as the same text', () =>
    inPlace(async ({ file, folder, open }) => {
      const log = await open();
      await log.append(entry('b\uFFFDb'));
      await log.close();
      const bytes = await readFile(file(1));
      const at = bytes.indexOf('\uFFFD');
      await writeFile(file(1), Buffer.concat([bytes.subarray(0, at), Buffer.of(0xff), bytes.subarray(at + 3)]));
      assert.deepEqual(await found(folder), ['1:2']);
    }));

  it('is not misled by files that have had their time while it reads', () =>
    inPlace(async ({ folder, open, wait }) => {
      const log = await open({ fileBytesMax: 1, retentionDays: 10 });
      for (const identity of ['a', 'b', 'c']) await log.append(entry(identity));
      const reader = queryAuditLog(folder, {})[Symbol.asyncIterator]();
      assert.equal((await reader.next()).value.action, 'file');
      wait(20);
      await log.append(entry('d'));
      const rest: AuditRecord[] = [];
      for (let next = await reader.next(); !next.done; next = await reader.next()) rest.push(next.value);
      await log.close();
      // The first file was open already; those that went meanwhile are passed over.
      assert.equal(rest[0]?.identity, 'a');
      assert.ok(rest.every(({ sequence }, i) => i === 0 || sequence > (rest[i - 1]?.sequence ?? 0)));
      assert.deepEqual(await found(folder), []);
    }));

  it('finds a person who was the nearest in a search, with one face or with several', () =>
    inPlace(async ({ folder, open }) => {
      const log = await open();
      await log.append(entry('anna'));
      await log.append({ ...entry('x'), identity: null, facts: { decision: 'match', candidate: 'anna' } });
      await log.append({
        ...entry('x'),
        identity: null,
        facts: { faces: [{ candidate: null }, { candidate: 'anna' }] },
      });
      await log.append({ ...entry('x'), identity: null, facts: { candidate: 'ben', faces: [null] } });
      await log.close();
      assert.deepEqual(
        (await records(folder, { identity: 'anna' })).map(({ sequence }) => sequence),
        [2, 3, 4],
      );
    }));
});
