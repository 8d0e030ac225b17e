/**
 * Method: real directories are damaged, one record or file at a time, through the raw store or on the files; each damage must be found, by its kind, and
 * where a repair can help it must be gone afterwards, with everybody else as before. What everybody is comes from an export made before.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import {
  changeCodec,
  checkpointCodec,
  galleryCodec,
  identityCodec,
  keys,
  markCodec,
  pointerCodec,
  quarantinedCodec,
  ranges,
  templateCodec,
} from '../../src/index/codec.js';
import { checkSearches } from '../../src/index/check-searches.js';
import { openExactGraph } from '../../src/index/exact-graph.js';
import type { CheckCounts, Finding, FindingKind } from '../../src/index/findings.js';
import {
  checkDirectory,
  openIdentityIndex,
  repairDirectory,
  type EncryptionOptions,
  type IdentityIndex,
  type RepairCounts,
} from '../../src/index/identity-index.js';
import { dataFile, openLmdbStore } from '../../src/index/lmdb-store.js';
import type { StoreReader, StoreWriter, TableName } from '../../src/index/store.js';
import { trustUnitVector } from '../../src/vector.js';
import { makeFaces, randomFrom, runSeed } from './faces.js';
import { enrollDraft, galleryDraft, inTemporaryFolder, testSpace } from './folders.js';

const gallery = 'lobby';
const dimensions = 24;
const personCount = 30;
/** Of the gallery that is damaged: the first that was made. */
const number = 1;

function open(path: string, encryption?: EncryptionOptions): Promise<IdentityIndex> {
  return openIdentityIndex({ path, encryption, exactMax: 16, checkpointEvery: 1_000_000, onWarning: () => undefined });
}

/** A directory with a history: enrolments, updates, removals, erasures, a deleted gallery, answers, graphs. */
async function fill(path: string, encryption?: EncryptionOptions): Promise<void> {
  const index = await open(path, encryption);
  const faces = makeFaces(randomFrom(61), { dimensions });
  await index.createGallery(galleryDraft(gallery, dimensions, { duplicates: 'ignore' }));
  await index.createGallery(galleryDraft('gone', dimensions, { duplicates: 'ignore' }));
  await index.createGallery(galleryDraft('other', dimensions, { duplicates: 'ignore' }));
  for (let person = 0; person < personCount; person++) {
    const more = {
      label: `Label ${person}`,
      groups: person % 2 === 0 ? ['even', 'all'] : ['all'],
      ...(person % 5 === 0 && { idempotency: { key: `key ${person}`, digest: 'd' } }),
    };
    await index.enroll(enrollDraft(gallery, `p${person}`, [faces.face(person), faces.face(person)], more));
    if (person < 3) await index.enroll(enrollDraft('gone', `g${person}`, [faces.face(person)]));
    if (person < 4) await index.enroll(enrollDraft('other', `o${person}`, [faces.face(person)]));
  }
  await index.settle();
  await index.checkpoint();
  await index.updateIdentity({ gallery, identity: 'p1', groups: ['odd'] });
  await index.removeTemplate(gallery, 'p2', 5);
  await index.eraseIdentity(gallery, 'p3');
  await index.eraseIdentity('other', 'o3');
  await index.deleteGallery('gone');
  await index.checkpoint();
  // Changes after the checkpoint: what is left when a process is killed; closing would write another one.
  await index.updateIdentity({ gallery, identity: 'p4', label: 'another' });
  await index.close();
}

async function collect<R>(findings: AsyncGenerator<Finding, R, void>): Promise<{ found: Finding[]; result: R }> {
  const found: Finding[] = [];
  for (;;) {
    const next = await findings.next();
    if (next.done) return { found, result: next.value };
    found.push(next.value);
  }
}

const check = (path: string, encryption?: EncryptionOptions): Promise<{ found: Finding[]; result: CheckCounts }> =>
  collect(checkDirectory({ path, encryption }));
const repair = (path: string, encryption?: EncryptionOptions): Promise<{ found: Finding[]; result: RepairCounts }> =>
  collect(repairDirectory({ path, encryption }));

async function damage(path: string, change: (writer: StoreWriter) => void): Promise<void> {
  const store = openLmdbStore({ path, readOnly: false });
  await store.write(change);
  await store.close();
}

function read<T>(path: string, reading: (reader: StoreReader) => T): Promise<T> {
  const store = openLmdbStore({ path, readOnly: false });
  const value = reading(store);
  return store.close().then(() => value);
}

/** Flips a bit in the middle of a record. */
function spoil(writer: StoreWriter, table: TableName, key: Buffer): void {
  const bytes = Buffer.from(writer.get(table, key) ?? assert.fail(`no record ${key.toString('hex')} in ${table}`));
  const middle = bytes.length >> 1;
  bytes[middle] = (bytes[middle] ?? 0) ^ 0x10;
  writer.put(table, key, bytes);
}

interface Content {
  readonly people: readonly object[];
  readonly members: Readonly<Record<string, readonly string[]>>;
  readonly counts: readonly number[];
}

/** All that can be asked of the damaged gallery. */
async function contentOf(path: string, encryption?: EncryptionOptions): Promise<Content> {
  const index = await open(path, encryption);
  try {
    const people = index.listIdentities({ gallery, limit: 1000 }).map((identity) => ({
      ...identity,
      vectors: Array.from(index.exportTemplates(gallery)).flatMap((exported) =>
        exported.identity.identity === identity.identity ? [Array.from(exported.vector)] : [],
      ),
    }));
    const members = Object.fromEntries(
      ['even', 'odd', 'all'].map((group) => [
        group,
        index.listIdentities({ gallery, limit: 1000, groups: [group] }).map(({ identity }) => identity),
      ]),
    );
    for (const { vector, identity } of index.exportTemplates(gallery)) {
      const { candidates } = await index.search({
        gallery,
        space: testSpace,
        probe: vector,
        k: 1,
        exact: false,
        ef: 64,
      });
      assert.deepEqual([candidates[0]?.identity, candidates[0]?.distance], [identity.identity, 0]);
    }
    const { identityCount, templateCount, sequence } = index.getGallery(gallery);
    return { people, members, counts: [identityCount, templateCount, sequence] };
  } finally {
    await index.close();
  }
}

function without(content: Content, identity: string, templates = 2): Content {
  const [identityCount = 0, templateCount = 0, sequence = 0] = content.counts;
  return {
    people: content.people.filter((person) => !('identity' in person) || person.identity !== identity),
    members: Object.fromEntries(
      Object.entries(content.members).map(([group, ids]) => [group, ids.filter((id) => id !== identity)]),
    ),
    counts: [identityCount - 1, templateCount - templates, sequence],
  };
}

/** Person p8 has owner 8 and templates 17 and 18. */
const owner = 8;
const ownerKey = keys.owner(number, owner);
const templateKey = keys.template(number, owner, 17);
const pointerKey = keys.identity(number, 'p8');

interface Case {
  readonly name: string;
  readonly kind: FindingKind;
  readonly damage: (writer: StoreWriter) => void;
  /** What is left afterwards; default: everything. */
  readonly left?: (content: Content) => Content;
}

function changeGallery(writer: StoreWriter, change: object): void {
  const key = keys.gallery(gallery);
  const record = galleryCodec.decode(key, writer.get('galleries', key) ?? assert.fail());
  writer.put('galleries', key, galleryCodec.encode(key, { ...record, ...change }));
}

function mark(writer: StoreWriter, table: TableName, key: Buffer): void {
  writer.put(table, key, markCodec.encode(key, {}));
}

const oneTemplateLess = (content: Content): Content => ({
  ...content,
  people: content.people.map((person) => {
    if (!('identity' in person && person.identity === 'p8' && 'templates' in person && 'vectors' in person))
      return person;
    return {
      ...person,
      templates: (person.templates as { template: number }[]).filter(({ template }) => template !== 17),
      vectors: (person.vectors as unknown[]).slice(1),
    };
  }),
  counts: [content.counts[0] ?? 0, (content.counts[1] ?? 0) - 1, content.counts[2] ?? 0],
});

const cases: readonly Case[] = [
  {
    name: 'an identity that cannot be read',
    kind: 'record',
    damage: (w) => spoil(w, 'owners', ownerKey),
    left: (c) => without(c, 'p8'),
  },
  {
    name: 'a template that cannot be read',
    kind: 'record',
    damage: (w) => spoil(w, 'templates', templateKey),
    left: oneTemplateLess,
  },
  { name: 'a pointer that cannot be read', kind: 'record', damage: (w) => spoil(w, 'identities', pointerKey) },
  { name: 'a missing pointer', kind: 'pointer', damage: (w) => w.remove('identities', pointerKey) },
  {
    name: 'a pointer to somebody else',
    kind: 'pointer',
    damage: (w) => w.put('identities', pointerKey, pointerCodec.encode(pointerKey, { owner: 9 })),
  },
  {
    name: 'a pointer of nobody',
    kind: 'pointer',
    damage(w) {
      const key = keys.identity(number, 'nobody');
      w.put('identities', key, pointerCodec.encode(key, { owner: 9 }));
    },
  },
  {
    name: 'an identity twice',
    kind: 'identity',
    damage(w) {
      const key = keys.owner(number, 900);
      const bytes = w.get('owners', ownerKey) ?? assert.fail();
      w.put('owners', key, identityCodec.encode(key, identityCodec.decode(ownerKey, bytes)));
      changeGallery(w, { nextOwner: 901 });
    },
  },
  {
    name: 'an identity that is gone',
    kind: 'template',
    damage: (w) => w.remove('owners', ownerKey),
    left: (c) => without(c, 'p8'),
  },
  {
    name: 'a vector of norm 2',
    kind: 'template',
    damage(w) {
      const record = templateCodec.decode(templateKey, w.get('templates', templateKey) ?? assert.fail(), dimensions);
      const vector = trustUnitVector(record.vector.map((component) => component * 2));
      w.put('templates', templateKey, templateCodec.encode(templateKey, { ...record, vector }));
    },
    left: oneTemplateLess,
  },
  {
    name: 'a template of another space',
    kind: 'template',
    damage(w) {
      const record = templateCodec.decode(templateKey, w.get('templates', templateKey) ?? assert.fail(), dimensions);
      w.put('templates', templateKey, templateCodec.encode(templateKey, { ...record, space: 'another' }));
    },
    left: oneTemplateLess,
  },
  {
    name: 'a missing membership',
    kind: 'membership',
    damage: (w) => w.remove('memberships', keys.membership(number, 'even', owner)),
  },
  {
    name: 'a membership of somebody else',
    kind: 'membership',
    damage: (w) => mark(w, 'memberships', keys.membership(number, 'odd', owner)),
  },
  {
    name: 'a spoilt membership',
    kind: 'record',
    damage: (w) => spoil(w, 'memberships', keys.membership(number, 'even', owner)),
  },
  { name: 'wrong counters', kind: 'counter', damage: (w) => changeGallery(w, { identityCount: 7, templateCount: 1 }) },
  {
    name: 'a number that would be used again',
    kind: 'counter',
    damage: (w) => changeGallery(w, { nextTemplate: 3, nextOwner: 2 }),
  },
  { name: 'a sequence below its checkpoint', kind: 'counter', damage: (w) => changeGallery(w, { sequence: 3 }) },
  {
    name: 'a gap in the change log',
    kind: 'change-log',
    damage(w) {
      changeGallery(w, { sequence: 1003 });
      for (const sequence of [1001, 1003]) {
        const key = keys.change(number, sequence);
        w.put(
          'changes',
          key,
          changeCodec.encode(key, { kind: 'settings', owner: null, added: [], removed: [], at: 1 }),
        );
      }
    },
    left: ({ counts: [identities = 0, templates = 0], ...content }) => ({
      ...content,
      counts: [identities, templates, 1003],
    }),
  },
  {
    name: 'an answer without its expiry',
    kind: 'answer',
    damage(w) {
      const some = Array.from(w.keys('expiries', ...ranges.gallery(number)));
      for (const key of some) w.remove('expiries', key);
    },
  },
  {
    name: 'a spoilt answer',
    kind: 'record',
    damage: (w) => spoil(w, 'idempotency', keys.idempotency(number, 'key 5')),
  },
  { name: 'a spoilt checkpoint', kind: 'record', damage: (w) => spoil(w, 'checkpoints', keys.checkpoint(number)) },
  {
    name: 'a checkpoint of another space',
    kind: 'checkpoint',
    damage(w) {
      const key = keys.checkpoint(number);
      const { file, ...record } = checkpointCodec.decode(key, w.get('checkpoints', key) ?? assert.fail());
      w.put(
        'checkpoints',
        key,
        checkpointCodec.encode(key, { ...record, file: file && { ...file, space: 'another' } }),
      );
    },
  },
  {
    name: 'records of no gallery',
    kind: 'orphan',
    damage(w) {
      const key = keys.identity(77, 'somebody');
      w.put('identities', key, pointerCodec.encode(key, { owner: 0 }));
    },
  },
  { name: 'a spoilt format record', kind: 'format', damage: (w) => spoil(w, 'meta', keys.format()) },
  { name: 'an unknown record', kind: 'record', damage: (w) => mark(w, 'meta', Buffer.from('what is this')) },
  { name: 'a spoilt end of the chain of receipts', kind: 'record', damage: (w) => spoil(w, 'meta', keys.chain()) },
];

/** Files of a folder, by name. */
function namesIn(folder: string): readonly string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

function graphFile(path: string): string {
  const name = namesIn(join(path, 'graphs')).find((each) => each.startsWith(`${number}-`) && each.endsWith('.graph'));
  return join(path, 'graphs', name ?? assert.fail('there is a graph file'));
}

/** A copy of one filled directory a test: filling takes longest. */
async function withCopies(
  encryption: EncryptionOptions | undefined,
  work: (copy: () => string, content: Content) => Promise<void>,
): Promise<void> {
  await inTemporaryFolder(async (folder) => {
    const original = join(folder, 'original');
    await fill(original, encryption);
    let copies = 0;
    const copy = (): string => {
      const path = join(folder, `copy-${copies++}`);
      cpSync(original, path, { recursive: true });
      return path;
    };
    await work(copy, await contentOf(copy(), encryption));
  });
}

describe('a check', () => {
  for (const encryption of [undefined, { key: randomBytes(32) }]) {
    it(`finds nothing in a healthy directory${encryption ? ' that is encrypted' : ''}, open or not, and a repair does nothing`, async () => {
      await withCopies(encryption, async (copy, content) => {
        const path = copy();
        const { found, result } = await check(path, encryption);
        assert.deepEqual(found, []);
        assert.ok(result.records > 150, `${result.records} records`);
        // The data file and the one graph.
        assert.equal(result.files, 2);
        const before = await read(path, (reader) =>
          Array.from(reader.range('quarantine', Buffer.alloc(1), Buffer.alloc(8, 0xff))),
        );
        assert.deepEqual(before, []);
        assert.deepEqual(await repair(path, encryption), { found: [], result: { mended: 0, left: 0 } });
        const index = await open(path, encryption);
        const live = await collect(index.check());
        assert.deepEqual(live.found, []);
        assert.equal(live.result.templates, (content.counts[1] ?? 0) + 3);
        assert.deepEqual(await collect(index.check({ records: false, searches: false })), {
          found: [],
          result: { records: 0, templates: 0, files: 0 },
        });
        await index.close();
      });
    });
  }

  it('finds each kind of damage to a record, and a repair mends it with everybody else unharmed', async () => {
    await withCopies(undefined, async (copy, content) => {
      for (const each of cases) {
        const path = copy();
        await damage(path, each.damage);
        const { found } = await check(path);
        const kinds = found.map(({ kind }) => kind);
        assert.ok(kinds.includes(each.kind), `${each.name}: ${JSON.stringify(found)}`);
        // A checkpoint that cannot be read leaves its file without a name.
        const errors = found.filter(({ severity }) => severity === 'error');
        assert.ok(
          errors.every(({ repair: done }) => done !== 'none'),
          JSON.stringify(found),
        );
        const { result } = await repair(path);
        assert.ok(result.mended >= errors.length && result.left === 0, `${each.name}: ${JSON.stringify(result)}`);
        assert.deepEqual(await repair(path), { found: [], result: { mended: 0, left: 0 } }, each.name);
        assert.deepEqual(
          (await check(path)).found.filter(({ severity }) => severity === 'error'),
          [],
          each.name,
        );
        assert.deepEqual(await contentOf(path), each.left?.(content) ?? content, each.name);
        assert.deepEqual((await check(path)).found, [], each.name);
        rmSync(path, { recursive: true });
      }
    });
  }).timeout(240_000);

  it('finds the same in an encrypted directory', async () => {
    const encryption = { key: randomBytes(32) };
    await withCopies(encryption, async (copy, content) => {
      const chosen = new Set([
        'an identity that cannot be read',
        'a template that cannot be read',
        'an identity that is gone',
        'a missing pointer',
      ]);
      for (const each of cases.filter(({ name }) => chosen.has(name))) {
        const path = copy();
        await damage(path, each.damage);
        assert.ok(
          (await check(path, encryption)).found.some(({ kind }) => kind === each.kind),
          each.name,
        );
        await repair(path, encryption);
        assert.deepEqual((await check(path, encryption)).found, [], each.name);
        assert.deepEqual(await contentOf(path, encryption), each.left?.(content) ?? content, each.name);
      }
      // A record of one person in the place of another's.
      const moved = copy();
      await damage(moved, (w) => {
        const bytes = w.get('owners', keys.owner(number, 9)) ?? assert.fail();
        w.put('owners', ownerKey, bytes);
      });
      assert.deepEqual(
        (await check(moved, encryption)).found.map(({ kind }) => kind),
        ['record'],
      );
    });
  }).timeout(120_000);

  it('keeps in quarantine, byte by byte, what it takes out', async () => {
    await withCopies(undefined, async (copy) => {
      const path = copy();
      await damage(path, (w) => spoil(w, 'owners', ownerKey));
      const spoilt = await read(path, (r) => ({
        owner: r.get('owners', ownerKey),
        templates: Array.from(r.range('templates', ...ranges.templatesOf(number, owner)), ({ value }) => value),
        pointer: r.get('identities', pointerKey),
      }));
      await repair(path);
      const kept = await read(path, (r) =>
        Array.from(r.range('quarantine', ...ranges.templatesOf(number, owner)), ({ key, value }) =>
          quarantinedCodec.decode(key, value),
        ),
      );
      const bytesOf = (table: string): Buffer[] => kept.flatMap((each) => (each.table === table ? [each.bytes] : []));
      assert.deepEqual(bytesOf('owners'), [spoilt.owner]);
      assert.deepEqual(bytesOf('templates'), spoilt.templates);
      assert.deepEqual(bytesOf('identities'), [spoilt.pointer]);
      assert.equal(bytesOf('memberships').length, 2);
      assert.ok(kept.every(({ reason, at }) => reason.length > 20 && at > 1_700_000_000_000));
    });
  });

  it('rebuilds a gallery whose record cannot be read, with a threshold that matches nobody', async () => {
    await withCopies(undefined, async (copy, content) => {
      const path = copy();
      await damage(path, (w) => spoil(w, 'galleries', keys.gallery(gallery)));
      await assert.rejects(open(path), { code: 'DATA_CORRUPT' });
      const { found } = await check(path);
      assert.deepEqual(
        found.map(({ kind, repair: done }) => [kind, done]),
        [['gallery', 'rebuilt']],
      );
      await repair(path);
      assert.deepEqual((await check(path)).found, []);
      assert.deepEqual(await contentOf(path), content);
      const index = await open(path);
      assert.ok(index.getGallery(gallery).threshold < 1e-300);
      await index.updateGallery(gallery, { threshold: 0.05 });
      await index.enroll(enrollDraft(gallery, 'new', [makeFaces(randomFrom(1), { dimensions }).face(1)]));
      await index.close();
      assert.deepEqual((await check(path)).found, []);
    });
  });

  it('mends nothing where it could only guess: two lost galleries, receipts, keys', async () => {
    await withCopies(undefined, async (copy) => {
      const two = copy();
      await damage(two, (w) => {
        spoil(w, 'galleries', keys.gallery(gallery));
        spoil(w, 'galleries', keys.gallery('other'));
      });
      const receipts = copy();
      await damage(receipts, (w) => w.remove('receipts', keys.receipt(1)));
      const changed = copy();
      await damage(changed, (w) => spoil(w, 'receipts', keys.receipt(2)));
      for (const [path, kinds] of [
        [two, ['gallery', 'gallery', 'orphan', 'orphan']],
        [receipts, ['receipt-chain', 'receipt-chain', 'suppression']],
        [changed, ['record']],
      ] as const) {
        const { found } = await check(path);
        assert.deepEqual(
          found.map(({ kind }) => kind),
          kinds,
          JSON.stringify(found),
        );
        assert.ok(found.every(({ repair: done }) => done === 'none'));
        assert.deepEqual((await repair(path)).result, { mended: 0, left: kinds.length });
        assert.deepEqual((await check(path)).found, found);
      }
    });
    const encryption = { key: randomBytes(32) };
    await withCopies(encryption, async (copy) => {
      const path = copy();
      const slots = join(path, 'keys', `${number}.keys`);
      const bytes = readFileSync(slots);
      const at = owner * (bytes.length / 256) + 30;
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      writeFileSync(slots, bytes);
      const { found } = await check(path, encryption);
      assert.deepEqual(
        found.map(({ kind, repair: done }) => [kind, done]),
        [['key', 'none']],
      );
      assert.deepEqual((await repair(path, encryption)).result, { mended: 0, left: 1 });
      rmSync(join(path, 'keys', 'master.json'));
      assert.deepEqual(
        (await check(path, encryption)).found.map(({ kind, repair: done }) => [kind, done]),
        [['key', 'none']],
      );
    });
  }).timeout(120_000);

  it('finds a graph file that is wrong or gone, sets it aside, and the graph is built anew', async () => {
    await withCopies(undefined, async (copy, content) => {
      const changed = copy();
      const file = graphFile(changed);
      const bytes = readFileSync(file);
      bytes[bytes.length - 100] = (bytes[bytes.length - 100] ?? 0) ^ 1;
      writeFileSync(file, bytes);
      const gone = copy();
      rmSync(graphFile(gone));
      for (const path of [changed, gone]) {
        const { found } = await check(path);
        assert.deepEqual(
          found.map(({ kind, severity, repair: done }) => [kind, severity, done]),
          [['graph-file', 'error', 'rebuilt']],
        );
        await repair(path);
        assert.deepEqual((await check(path)).found, []);
        assert.deepEqual(await contentOf(path), content);
      }
      const aside = namesIn(join(changed, 'graphs')).filter((name) => name.startsWith('quarantine-'));
      assert.equal(aside.length, 1, 'and it outlives openings');
      assert.deepEqual(readFileSync(join(changed, 'graphs', aside[0] ?? '')), bytes);
      const index = await open(changed);
      await index.eraseIdentity('other', 'o1');
      assert.equal(namesIn(join(changed, 'graphs')).filter((name) => name.startsWith('quarantine-')).length, 1);
      await index.eraseIdentity(gallery, 'p1');
      assert.deepEqual(
        namesIn(join(changed, 'graphs')).filter((name) => name.startsWith('quarantine-')),
        [],
        'but no erasure',
      );
      await index.close();
      const stray = copy();
      writeFileSync(join(stray, 'graphs', '1-1-abc.hnsw'), 'stray');
      assert.deepEqual(
        (await check(stray)).found.map(({ kind, severity }) => [kind, severity]),
        [['stray-file', 'warning']],
      );
    });
  });

  it('finds damaged pages before LMDB meets them, and says nothing of what stands on them', async () => {
    await withCopies(undefined, async (copy) => {
      const path = copy();
      const file = dataFile(path);
      const bytes = readFileSync(file);
      // The beginning of the second meta page, where no harm shows until LMDB follows it.
      bytes.writeUInt32LE(0, 4096 + 24);
      writeFileSync(file, bytes);
      const { found, result } = await check(path);
      assert.deepEqual(
        found.map(({ kind, repair: done }) => [kind, done]),
        [['page', 'none']],
      );
      assert.deepEqual(result, { records: 0, templates: 0, files: 1 });
      assert.deepEqual((await repair(path)).result, { mended: 0, left: 1 });
      await assert.rejects(check(join(path, 'nowhere')), { code: 'DATA_NOT_FOUND' });
    });
  });

  it('refuses a directory that is open, and leaves it open', async () => {
    await withCopies(undefined, async (copy) => {
      const path = copy();
      const index = await open(path);
      await assert.rejects(check(path), { code: 'DATA_LOCKED' });
      await assert.rejects(repair(path), { code: 'DATA_LOCKED' });
      assert.equal(index.getIdentity(gallery, 'p8').templates.length, 2);
      await index.close();
    });
  });

  it('of an open index sees one moment while everybody writes, and nothing wrong with it', async () => {
    for (const encryption of [undefined, { key: randomBytes(32) }]) {
      await withCopies(encryption, async (copy) => {
        const path = copy();
        const index = await open(path, encryption);
        const faces = makeFaces(randomFrom(62), { dimensions });
        let checks = 0;
        let isOver = false;
        const writing = (async () => {
          for (let round = 0; !isOver; round++) {
            const identity = `late ${round % 40}`;
            await index.enroll(enrollDraft(gallery, identity, [faces.face(100 + round)], { groups: ['all', 'late'] }));
            if (round % 3 === 0) await index.eraseIdentity(gallery, identity);
            if (round % 7 === 0) await index.checkpoint(gallery);
            if (round % 5 === 0) {
              await index.createGallery(galleryDraft('brief', dimensions));
              await index.enroll(enrollDraft('brief', 'somebody', [faces.face(1)]));
              await index.deleteGallery('brief');
            }
          }
        })();
        for (; checks < 12; checks++) assert.deepEqual((await collect(index.check())).found, []);
        isOver = true;
        await writing;
        const unread = index.check();
        await index.close();
        await assert.rejects(unread.next(), { code: 'CLOSED' });
      });
    }
  }).timeout(120_000);

  it('searches for everybody: what nothing finds is an error, what the graph alone misses a warning', async () => {
    await withCopies(undefined, async (copy, content) => {
      const path = copy();
      const index = await open(path);
      const store = openLmdbStore({ path, readOnly: false });
      try {
        const unseen = keys.template(number, owner, 999);
        const vector = makeFaces(randomFrom(63), { dimensions }).face(1);
        // Behind the back of the index, whose graph is told of nothing.
        await store.write((writer) => {
          const template = {
            space: testSpace,
            origin: 'native',
            quality: null,
            imageDigest: null,
            enrolledAt: 1,
          } as const;
          writer.put('templates', unseen, templateCodec.encode(unseen, { ...template, vector }));
        });
        const searched = await collect(index.check({ records: false }));
        assert.deepEqual(
          searched.found.map(({ kind, severity, where }) => [kind, severity, where]),
          [['unsearchable', 'error', `templates ${unseen.toString('hex')}`]],
        );
        await store.write((writer) => writer.remove('templates', unseen));

        // Two engines: one in the place of a graph that has lost a template, one that compares with all.
        const [lossy, complete] = [openExactGraph(dimensions), openExactGraph(dimensions)];
        for (const { key, value } of store.range('templates', ...ranges.gallery(number))) {
          const entries = {
            labels: Uint32Array.of(key.readUInt32BE(8)),
            owners: Uint32Array.of(key.readUInt32BE(4)),
            vectors: templateCodec.decodeVector(key, value, dimensions),
          };
          await complete.add(entries);
          if (!key.equals(templateKey)) await lossy.add(entries);
        }
        const galleryKey = keys.gallery(gallery);
        const findings = checkSearches({
          name: gallery,
          lane: galleryCodec.decode(galleryKey, store.get('galleries', galleryKey) ?? assert.fail()),
          reader: store,
          live: store,
          search: async (probes, { exact }) =>
            (await (exact ? complete : lossy).search({ probes, k: 1, exact, ef: 1 })).hits,
        });
        const { found, result } = await collect(findings);
        assert.deepEqual(
          found.map(({ kind, severity, where }) => [kind, severity, where]),
          [['graph-miss', 'warning', `templates ${templateKey.toString('hex')}`]],
        );
        assert.equal(result, content.counts[1]);
      } finally {
        await index.close();
        await store.close();
      }
    });
  });

  it('takes what is in quarantine along when its person is erased', async () => {
    for (const encryption of [undefined, { key: randomBytes(32) }]) {
      await withCopies(encryption, async (copy) => {
        const path = copy();
        const ninth = keys.owner(number, 9);
        const spoiltPointer = keys.identity(number, 'p10');
        await damage(path, (w) => {
          spoil(w, 'templates', templateKey);
          spoil(w, 'owners', ninth);
          spoil(w, 'identities', spoiltPointer);
        });
        await repair(path, encryption);
        const index = await open(path, encryption);
        const { sequence } = index.getGallery(gallery);
        const eighth = await index.eraseIdentity(gallery, 'p8', { prove: true });
        assert.deepEqual([eighth.templatesErased, eighth.proof?.remainsFound], [1, 0]);
        // Nothing but what is in quarantine is left of this one.
        assert.throws(() => index.getIdentity(gallery, 'p9'), { code: 'IDENTITY_NOT_FOUND' });
        const lost = await index.eraseIdentity(gallery, 'p9', { prove: true });
        assert.deepEqual([lost.existed, lost.templatesErased, lost.sequence], [true, 2, sequence + 2]);
        assert.equal(lost.proof?.remainsFound, 0);
        assert.deepEqual((await index.eraseIdentity(gallery, 'p9')).receipt, lost.receipt);
        await index.eraseIdentity(gallery, 'p10');
        assert.equal((await index.eraseIdentity(gallery, 'nobody')).existed, false);
        await index.close();
        const left = await read(path, (reader) => Array.from(reader.keys('quarantine', ...ranges.gallery(number))));
        assert.deepEqual(left, []);
        assert.deepEqual((await check(path, encryption)).found, []);
      });
    }
  }).timeout(120_000);

  it('of a data file with a flipped bit finds it, or it harms no answer, and it never ends the process', async () => {
    const random = randomFrom(runSeed('flipped bits'));
    await withCopies(undefined, async (copy, content) => {
      const verdicts = { found: 0, harmless: 0 };
      for (let flip = 0; flip < 40; flip++) {
        const path = copy();
        const file = dataFile(path);
        const bytes = readFileSync(file);
        // Every other one within the bytes that the tables' records have, by what they begin with.
        const place = flip % 2 === 0 ? Math.floor(random() * bytes.length) : recordPlace(bytes, random);
        bytes[place] = (bytes[place] ?? 0) ^ (1 << Math.floor(random() * 8));
        writeFileSync(file, bytes);
        const { found } = await check(path);
        if (found.some(({ severity }) => severity === 'error')) verdicts.found++;
        else {
          verdicts.harmless++;
          assert.deepEqual(await contentOf(path), content, `byte ${place}`);
        }
        rmSync(path, { recursive: true });
      }
      assert.ok(verdicts.found > 0 && verdicts.harmless > 0, JSON.stringify(verdicts));
    });
  }).timeout(240_000);
});

function recordPlace(bytes: Buffer, random: () => number): number {
  for (;;) {
    const found = bytes.indexOf('Hd', Math.floor(random() * bytes.length));
    if (found >= 0) return Math.min(bytes.length - 1, found + Math.floor(random() * 150));
  }
}
