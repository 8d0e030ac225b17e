/**
 * Method: a real database behind a real server with keys, and a real log; what should be on record is written by hand, in the order in which it was asked. What the database did is
 * compared with what the log says it did.
 */
import assert from 'node:assert/strict';
import { appendFile, mkdtemp, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { formatAccessList } from '../../src/access/access-list.js';
import { makeApiKey } from '../../src/access/api-key.js';
import { addEntry } from '../../src/access/key-changes.js';
import { permissionNames } from '../../src/access/grant.js';
import { checkAuditLog } from '../../src/audit/audit-check.js';
import type { AuditRecord } from '../../src/audit/audit-line.js';
import { openAuditLog, type AuditLog } from '../../src/audit/audit-log.js';
import { queryAuditLog } from '../../src/audit/audit-query.js';
import { audited } from '../../src/audit/audited-database.js';
import { connectDatabase, type RemoteDatabase } from '../../src/client/remote-database.js';
import { axis, makeVectorGallery, withServer } from '../server/served.js';

interface Audited {
  readonly folder: string;
  readonly log: AuditLog;
  readonly open: (name: 'owner' | 'door') => RemoteDatabase;
  /** Entries of calls, without the server's own, as `action outcome identity`. */
  readonly told: () => Promise<readonly string[]>;
  readonly records: () => Promise<readonly AuditRecord[]>;
}

async function withAudit(work: (set: Audited) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'harmonid-audited-'));
  const folder = join(root, 'audit');
  const accessFile = join(root, 'access.json');
  const [owner, door] = [makeApiKey(), makeApiKey()];
  const draft = { expiresAt: null, requestsPerSecondMax: null, galleries: ['*'] };
  const now = new Date();
  let list = addEntry(
    [],
    { ...draft, name: 'owner', permissions: permissionNames, by: { kind: 'key', ...owner } },
    now,
  );
  list = addEntry(list, { ...draft, name: 'door', permissions: ['identify'], by: { kind: 'key', ...door } }, now);
  // A key's text is no part of an entry.
  await writeFile(accessFile, formatAccessList(list).replaceAll(/,\s*"text": "[^"]*"/g, ''));
  const log = await openAuditLog({
    folder,
    clock: () => new Date(),
    sync: 'interval',
    whenFull: 'refuse',
    fileBytesMax: 1 << 20,
    retentionDays: null,
    onWarning: () => undefined,
  });
  const records = async (): Promise<readonly AuditRecord[]> => {
    const all: AuditRecord[] = [];
    for await (const record of queryAuditLog(folder, {})) all.push(record);
    return all;
  };
  try {
    await withServer({ accessFile, audit: log }, async ({ server }) => {
      const clients = { owner, door };
      const opened: RemoteDatabase[] = [];
      try {
        await work({
          folder,
          log,
          records,
          open: (name) => {
            const remote = connectDatabase({
              address: server.address,
              apiKey: clients[name].text,
              headers: () => ({ 'x-request-id': `from-${name}` }),
            });
            opened.push(remote);
            return remote;
          },
          told: async () =>
            (await records())
              .filter(({ action }) => !['file', 'serve'].includes(action))
              .map(({ action, outcome, identity }) =>
                [action, outcome, identity].filter((part) => part !== null).join(' '),
              ),
        });
      } finally {
        for (const remote of opened) await remote.close();
      }
    });
    await log.close();
    assert.deepEqual((await checkAuditLog(folder)).findings, []);
  } finally {
    await rm(root, { recursive: true });
  }
}

async function read(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

describe('what a server records', () => {
  it('is every enrolment, decision, erasure, export and change, with who asked and what came of it', () =>
    withAudit(async ({ open, told, records }) => {
      const owner = open('owner');
      await makeVectorGallery(owner);
      const gallery = 'lobby';
      await owner.enroll({ gallery, identity: 'a', embeddings: [axis(0), axis(0, 0.1)] });
      await assert.rejects(owner.enroll({ gallery, identity: 'b', embeddings: [axis(0)] }), { code: 'DUPLICATE_FACE' });
      await owner.identify({ gallery, embedding: axis(0) });
      await owner.identify({ gallery, embedding: axis(4) });
      await owner.verify({ gallery, identity: 'a', embedding: axis(0) });
      await assert.rejects(owner.verify({ gallery, identity: 'nobody', embedding: axis(0) }));
      await owner.updateIdentity({ gallery, identity: 'a', label: 'Anna', groups: ['staff'] });
      await read(
        owner.importAll([
          { gallery, identity: 'c', embeddings: [axis(2)] },
          { gallery, identity: '' },
        ]),
      );
      await owner.removeTemplate({ gallery, identity: 'a', template: 1 });
      await read(owner.exportTemplates({ gallery }));
      await owner.eraseIdentity({ gallery, identity: 'a' });
      await owner.updateGallery({ gallery, threshold: 0.4 });
      await read(owner.backup());
      await owner.deleteGallery({ gallery });
      // Reads leave no trace.
      await owner.listGalleries();
      await owner.stats();
      assert.deepEqual(await told(), [
        'create-gallery begun',
        'create-gallery OK',
        'enroll begun a',
        'enroll OK a',
        'enroll begun b',
        'enroll DUPLICATE_FACE b',
        'identify OK',
        'identify OK',
        'verify OK a',
        'verify IDENTITY_NOT_FOUND nobody',
        'update-identity begun a',
        'update-identity OK a',
        'import begun',
        ...(await importOrder(records)),
        'import OK',
        'remove-template begun a',
        'remove-template OK a',
        'export begun',
        'export OK',
        'erase begun a',
        'erase OK a',
        'update-gallery begun',
        'update-gallery OK',
        'backup begun',
        'backup OK',
        'delete-gallery begun',
        'delete-gallery OK',
      ]);
      const all = await records();
      for (const { action, actor, peer, requestId } of all.filter((one) => !['file', 'serve'].includes(one.action))) {
        assert.deepEqual([actor, requestId], ['key:owner', 'from-owner'], action);
        assert.match(peer ?? '', /^127\.0\.0\.1:\d+$/);
      }
      const [match, noMatch] = all.filter(({ action }) => action === 'identify').map(({ facts }) => facts);
      assert.deepEqual(
        [match?.['decision'], match?.['candidate'], Number(match?.['distance']) < 1e-6, match?.['threshold']],
        ['match', 'a', true, 0.5],
      );
      assert.equal(noMatch?.['decision'], 'no-match');
      const exported = all.find(({ action, outcome }) => action === 'export' && outcome === 'OK');
      assert.deepEqual(exported?.facts, { templates: 2 });
    }));

  it('holds no vector and no key', () =>
    withAudit(async ({ open, records }) => {
      const owner = open('owner');
      await makeVectorGallery(owner);
      await owner.enroll({ gallery: 'lobby', identity: 'a', embeddings: [axis(0, 0.123456)] });
      await owner.identify({ gallery: 'lobby', embedding: axis(0, 0.123456) });
      const text = JSON.stringify(await records());
      assert.ok(!text.includes('0.12345') && !text.includes('vector') && !text.includes('hmd_'));
    }));

  it('tells who may come in at the start, and who was refused', () =>
    withAudit(async ({ open, records }) => {
      const door = open('door');
      await assert.rejects(door.listGalleries(), { code: 'PERMISSION_DENIED' });
      const all = await records();
      const began = all.find(({ action }) => action === 'serve');
      assert.deepEqual(
        (began?.facts['open'] as undefined | readonly { readonly actor: string }[])?.map(({ actor }) => actor),
        ['key:owner', 'key:door'],
      );
      const refused = all.find(({ action }) => action === 'refused');
      assert.deepEqual(
        [refused?.actor, refused?.outcome, refused?.facts],
        ['key:door', 'PERMISSION_DENIED', { method: '/harmonid.v1.AdminService/ListGalleries' }],
      );
    }));

  it('is asked before anything is written: a log that cannot be written lets nothing be enrolled or decided', () =>
    withAudit(async ({ open, log, folder }) => {
      const owner = open('owner');
      await makeVectorGallery(owner);
      await owner.enroll({ gallery: 'lobby', identity: 'a', embeddings: [axis(0)] });
      // Somebody else's byte: the log refuses to go on.
      const file = join(folder, 'audit-00000001.jsonl');
      const { size } = await stat(file);
      await appendFile(file, 'x');
      const refused = { code: 'AUDIT_UNAVAILABLE' };
      await assert.rejects(owner.enroll({ gallery: 'lobby', identity: 'b', embeddings: [axis(1)] }), refused);
      await assert.rejects(owner.eraseIdentity({ gallery: 'lobby', identity: 'a' }), refused);
      await assert.rejects(owner.identify({ gallery: 'lobby', embedding: axis(0) }), refused);
      await assert.rejects(read(owner.exportTemplates({ gallery: 'lobby' })), refused);
      assert.deepEqual(
        (await owner.listIdentities({ gallery: 'lobby' })).identities.map(({ identity }) => identity),
        ['a'],
      );
      await truncate(file, size);
      assert.equal((await owner.identify({ gallery: 'lobby', embedding: axis(0) })).decision, 'match');
      assert.ok(log.head.sequence > 0);
    }));

  it('has every step of a rollout', () =>
    withServer({}, async ({ database }) => {
      const entries: string[] = [];
      const sink = {
        append: async ({ outcome, facts }: Pick<AuditRecord, 'outcome' | 'facts'>) =>
          void entries.push(`${facts['step'] as string} ${outcome}`),
      };
      const own = audited(database, sink, { actor: 'local:test', peer: null, requestId: null });
      await makeVectorGallery(database);
      const { rollouts } = own;
      await rollouts.start({ gallery: 'lobby', target: { space: 'next', dimensions: 8, threshold: 0.5 } });
      await read(
        rollouts.addPairs({ gallery: 'lobby' }, [
          { person: 'a', vectors: { from: axis(0).vector, to: axis(1).vector } },
        ]),
      );
      await assert.rejects(read(rollouts.fit({ gallery: 'lobby' })));
      await rollouts.rollback({ gallery: 'lobby' });
      await assert.rejects(rollouts.activate({ gallery: 'lobby' }), { code: 'ROLLOUT_STATE' });
      await rollouts.get({ gallery: 'lobby' });
      assert.deepEqual(
        entries.map((entry) => entry.replace(/ (INVALID_ARGUMENT|ROLLOUT_STATE|GATE_REFUSED)$/, ' refused')),
        [
          'start begun',
          'start OK',
          'addPairs begun',
          'addPairs OK',
          'fit begun',
          'fit refused',
          'rollback begun',
          'rollback OK',
          'activate begun',
          'activate refused',
        ],
      );
    }));
});

/** Items finish in any order. */
async function importOrder(records: () => Promise<readonly AuditRecord[]>): Promise<readonly string[]> {
  const all = await records();
  const from = all.findIndex(({ action }) => action === 'import');
  const items = all
    .slice(from + 1, from + 5)
    .map(({ action, outcome, identity }) => `${action} ${outcome} ${identity}`);
  assert.deepEqual(items.toSorted(), ['enroll INVALID_ARGUMENT ', 'enroll OK c', 'enroll begun ', 'enroll begun c']);
  return items;
}
