/**
 * Method: imports into a real database with a real log, ended in every way in which one ends early. Who is in the gallery afterwards is compared with whom the log says
 * was enrolled: nobody may be there without a trace.
 */
import assert from 'node:assert/strict';
import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import type { Database, EnrollRequest, ExportedTemplate } from '../../src/api.js';
import type { AuditRecord } from '../../src/audit/audit-line.js';
import { openAuditLog, type AuditLogOptions } from '../../src/audit/audit-log.js';
import { queryAuditLog, type AuditQuestion } from '../../src/audit/audit-query.js';
import { audited } from '../../src/audit/audited-database.js';
import { makeVectorGallery, scattered } from '../server/served.js';
import { withDatabase } from '../support/database.js';

const gallery = 'lobby';
/** More than an import has in work at the same time. */
const peopleCount = 60;

interface Traced {
  readonly database: Database;
  readonly traced: Database;
  /** Enrolments with this outcome. */
  readonly told: (outcome: string) => Promise<readonly string[]>;
  readonly records: (question?: AuditQuestion) => Promise<readonly AuditRecord[]>;
  /** Somebody else writes the log, which stops its writer. */
  readonly spoil: () => Promise<void>;
}

async function withTrace(
  whenFull: AuditLogOptions['whenFull'],
  work: (traced: Traced) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'harmonid-trace-'));
  const log = await openAuditLog({
    folder,
    clock: () => new Date(),
    sync: 'interval',
    whenFull,
    fileBytesMax: 1 << 20,
    retentionDays: null,
    onWarning: () => undefined,
  });
  const records = (question: AuditQuestion = {}): Promise<AuditRecord[]> => all(queryAuditLog(folder, question));
  try {
    await withDatabase({ embedder: false }, async (database) => {
      await makeVectorGallery(database);
      await work({
        database,
        traced: audited(database, log, { actor: 'key:importer', peer: null, requestId: null }),
        records,
        told: async (outcome) =>
          (await records())
            .filter((record) => record.action === 'enroll' && record.outcome === outcome)
            .map(({ identity }) => identity ?? '')
            .toSorted(),
        spoil: () => appendFile(join(folder, 'audit-00000001.jsonl'), 'x'),
      });
    });
  } finally {
    await log.close();
    await rm(folder, { recursive: true });
  }
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const read: T[] = [];
  for await (const item of items) read.push(item);
  return read;
}

function* people(): Generator<EnrollRequest> {
  for (let i = 0; i < peopleCount; i++) {
    yield { gallery, identity: `p${i}`, embeddings: [scattered(i + 1)], duplicates: 'ignore' };
  }
}

async function enrolled(database: Database): Promise<readonly string[]> {
  const { identities } = await database.listIdentities({ gallery, pageSize: 1000 });
  return identities.map(({ identity }) => identity).toSorted();
}

async function ended({ records }: Traced): Promise<string | undefined> {
  return (await records()).findLast(({ action }) => action === 'import')?.outcome;
}

describe('the trace of an import', () => {
  it('has everybody with a beginning and an end', () =>
    withTrace('refuse', async (trace) => {
      assert.equal((await all(trace.traced.importAll(people()))).length, peopleCount);
      const there = await enrolled(trace.database);
      assert.equal(there.length, peopleCount);
      assert.deepEqual([await trace.told('begun'), await trace.told('OK')], [there, there]);
      assert.equal(await ended(trace), 'OK');
    }));

  it('has everybody whose result nobody waited for', () =>
    withTrace('refuse', async (trace) => {
      for await (const { error } of trace.traced.importAll(people())) {
        assert.equal(error, undefined);
        break;
      }
      const there = await enrolled(trace.database);
      assert.ok(there.length > 1 && there.length < peopleCount, `${there.length} were enrolled`);
      assert.deepEqual(await trace.told('OK'), there);
      assert.equal(await ended(trace), 'CANCELLED');
    }));

  it('has everybody who was in work when it was cancelled, and each beginning has an end', () =>
    withTrace('refuse', async (trace) => {
      const abort = new AbortController();
      await assert.rejects(
        async () => {
          for await (const _ of trace.traced.importAll(people(), { signal: abort.signal })) abort.abort();
        },
        { code: 'CANCELLED' },
      );
      const begun = await trace.told('begun');
      assert.ok(begun.length < peopleCount);
      assert.deepEqual(await trace.told('OK'), await enrolled(trace.database));
      assert.deepEqual([...(await trace.told('OK')), ...(await trace.told('CANCELLED'))].toSorted(), begun);
    }));

  it('ends with a source that never gives another item, when nobody waits any more', () =>
    withTrace('refuse', async (trace) => {
      const source = {
        given: false,
        returned: false,
        [Symbol.asyncIterator]: () => ({
          next: async (): Promise<IteratorResult<EnrollRequest>> => {
            if (source.given) return new Promise(() => undefined);
            source.given = true;
            return { done: false, value: { gallery, identity: 'only', embeddings: [scattered(1)] } };
          },
          return: async (): Promise<IteratorResult<EnrollRequest>> => {
            source.returned = true;
            return { done: true, value: undefined };
          },
        }),
      };
      for await (const { identity } of trace.traced.importAll(source)) {
        assert.equal(identity, 'only');
        break;
      }
      assert.deepEqual([await trace.told('OK'), source.returned], [['only'], true]);
    }));

  it('is of templates, too', () =>
    withTrace('refuse', async (trace) => {
      await all(trace.database.importAll(people()));
      const templates: ExportedTemplate[] = await all(trace.database.exportTemplates({ gallery }));
      await trace.database.deleteGallery({ gallery });
      await makeVectorGallery(trace.database);
      const abort = new AbortController();
      await assert.rejects(
        async () => {
          for await (const _ of trace.traced.importTemplates(templates, { signal: abort.signal })) abort.abort();
        },
        { code: 'CANCELLED' },
      );
      const there = await enrolled(trace.database);
      assert.ok(there.length > 0);
      assert.deepEqual(await trace.told('OK'), there);
      const ends = [...there, ...(await trace.told('CANCELLED'))];
      assert.deepEqual(ends.toSorted(), await trace.told('begun'));
    }));

  it('stops the import when it cannot go on: nobody is enrolled who is not on record as begun', () =>
    withTrace('refuse', async (trace) => {
      await assert.rejects(
        async () => {
          for await (const _ of trace.traced.importAll(people())) await trace.spoil();
        },
        { code: 'AUDIT_UNAVAILABLE' },
      );
      const [there, begun] = [await enrolled(trace.database), new Set(await trace.told('begun'))];
      assert.ok(there.length > 0 && there.length < peopleCount, `${there.length} were enrolled`);
      assert.deepEqual(
        there.filter((identity) => !begun.has(identity)),
        [],
      );
    }));

  it('does not stop it where the log is to be gone on without', () =>
    withTrace('continue', async (trace) => {
      for await (const { error } of trace.traced.importAll(people())) {
        assert.equal(error, undefined);
        await trace.spoil();
      }
      assert.equal((await enrolled(trace.database)).length, peopleCount);
    }));
});
