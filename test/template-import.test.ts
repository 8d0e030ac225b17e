/**
 * Templates out of one database and into another, in both file formats and without a file: what comes back is compared with what left,
 * bit for bit. A line and a message written by hand, by the proto and by docs/FORMAT.md, must read as themselves.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type { Database, ExportedTemplate, ImportTemplatesOptions, TemplateImportResult } from '../src/api.js';
import { ByteReader } from '../src/byte-reader.js';
import { isHarmonidError } from '../src/errors.js';
import { encodeTemplate, readTemplates, templateFormats } from '../src/template-file.js';
import { makeFaces, randomFrom } from './index/faces.js';
import { streamOf } from './index/backups.js';
import { withDatabase } from './support/database.js';

const space = 'arcface-like:1';
const faces = makeFaces(randomFrom(77), { dimensions: 512 });

const made: ExportedTemplate = {
  gallery: 'g',
  identity: 'Zoë',
  label: 'Zoë B.',
  groups: ['night', 'staff'],
  attributes: { badge: '7', empty: '' },
  template: {
    template: 9,
    space,
    origin: 'mapped',
    quality: 0.75,
    imageDigest: 'ab'.repeat(32),
    enrolledAt: new Date('2024-02-29T12:34:56.789Z'),
  },
  embedding: { space, vector: faces.face(1) },
};

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

async function imported(
  database: Database,
  items: Iterable<ExportedTemplate>,
  options?: ImportTemplatesOptions,
): Promise<TemplateImportResult[]> {
  const results = await collect(database.importTemplates(items, options));
  return results.toSorted((a, b) => a.index - b.index);
}

/** What of a template outlives the journey: everything but its number. */
function lasting(item: ExportedTemplate): object {
  const { template: _number, ...provenance } = item.template;
  const bytes = Buffer.from(Float32Array.from(item.embedding.vector).buffer).toString('hex');
  return { ...item, template: provenance, embedding: { space: item.embedding.space, bytes } };
}

function codes(results: readonly TemplateImportResult[]): string[] {
  return results.map(({ answer, error }) =>
    answer ? (answer.added ? 'added' : 'present') : isHarmonidError(error) ? error.code : String(error),
  );
}

/** People with one to three templates of 512 dimensions, with and without everything that may be absent. */
async function fill(database: Database): Promise<readonly ExportedTemplate[]> {
  await database.createGallery({ gallery: 'g', space, dimensions: 512, threshold: 0.2, duplicates: 'ignore' });
  const items = Array.from({ length: 40 }, (_, person) =>
    Array.from({ length: 1 + (person % 3) }, (_, i): ExportedTemplate => ({
      ...made,
      identity: `p${person}`,
      label: person % 4 === 0 ? '' : `Person ${person}`,
      groups: person % 5 === 0 ? [] : ['a', `g${person % 3}`],
      attributes: person % 2 === 0 ? {} : { badge: `${person}` },
      template: {
        template: 0,
        space,
        origin: (['native', 'mapped', 're-embedded'] as const)[(person + i) % 3] ?? 'native',
        quality: person % 3 === 0 ? null : person / 40,
        imageDigest: person % 7 === 0 ? null : `${person}`.padStart(64, '0'),
        enrolledAt: new Date(1_600_000_000_000 + 86_400_123 * person + i),
      },
      embedding: { space, vector: faces.face(person) },
    })),
  ).flat();
  assert.ok((await imported(database, items)).every(({ answer }) => answer?.added));
  return items;
}

describe('templates', function () {
  this.timeout(60_000);

  for (const format of templateFormats) {
    it(`leave as ${format} and come back with everything but their numbers, however the file is cut; twice adds nothing`, async () => {
      await withDatabase({ embedder: false }, async (from) => {
        const items = await fill(from);
        const exported = await collect(from.exportTemplates({ gallery: 'g' }));
        const order = (list: readonly ExportedTemplate[]): string[] =>
          list.map((item) => JSON.stringify(lasting(item))).toSorted();
        assert.deepEqual(order(exported), order(items));
        const file = Buffer.concat(exported.map((item) => encodeTemplate(format, item)));
        for (const pieceBytes of [1_000, 65_536, file.length]) {
          const read = await collect(readTemplates(new ByteReader(streamOf(file, pieceBytes))));
          assert.deepEqual(read, exported);
        }
        await withDatabase({ embedder: false }, async (to) => {
          const read = (): AsyncIterable<ExportedTemplate> => readTemplates(new ByteReader(streamOf(file)));
          const options = { createGallery: { threshold: 0.2 } };
          const first = await collect(to.importTemplates(read(), options));
          assert.equal(first.length, items.length);
          assert.ok(first.every(({ answer }) => answer?.added));
          assert.equal(first.filter(({ answer }) => answer?.identityCreated).length, 40);
          const copy = await collect(to.exportTemplates({ gallery: 'g' }));
          assert.deepEqual(copy.map(lasting), exported.map(lasting));

          const before = await to.getGallery({ gallery: 'g' });
          const again = await collect(to.importTemplates(read()));
          assert.ok(again.every(({ answer }) => answer?.added === false && !answer.identityCreated));
          assert.deepEqual(await to.getGallery({ gallery: 'g' }), before);
          assert.equal(before.templateCount, items.length);
        });
      });
    });
  }

  it('as protobuf are what the proto says, as JSON Lines what docs/FORMAT.md says', async () => {
    const item: ExportedTemplate = {
      gallery: 'g',
      identity: 'i',
      label: '',
      groups: ['a'],
      attributes: { k: 'v' },
      template: {
        template: 5,
        space: 's',
        origin: 'native',
        quality: 0.5,
        imageDigest: null,
        enrolledAt: new Date(1_500),
      },
      embedding: { space: 's', vector: Float32Array.of(0.6, -0.8) },
    };
    const message = [
      '0a0167', // 1 gallery "g"
      '120169', // 2 identity "i"
      '220161', // 4 groups "a"
      '2a06 0a016b 120176', // 5 attributes {"k": "v"}
      // 6 template {1 template 5, 2 space "s", 3 origin NATIVE, 4 quality 0.5, 6 enrolled_at {1 s, 500,000,000 ns}}
      '321a 0805 120173 1801 21000000000000e03f 3208 0801 1080cab5ee01',
      '3a0d 0a0173 1208 9a99193f cdcc4cbf', // 7 embedding {1 space "s", 2 vector packed}
    ];
    const bytes = Buffer.from(message.join('').replaceAll(' ', ''), 'hex');
    const delimited = Buffer.concat([Buffer.from([bytes.length]), bytes]);
    assert.equal(encodeTemplate('binary', item).toString('hex'), delimited.toString('hex'));
    assert.deepEqual(await collect(readTemplates(new ByteReader(streamOf(delimited)))), [item]);

    // A length that reads as the brace with which JSON begins.
    const brace = encodeTemplate('binary', { ...item, label: 'x'.repeat(61) });
    assert.equal(brace[0], '{'.charCodeAt(0));
    const [read] = await collect(readTemplates(new ByteReader(streamOf(brace))));
    assert.equal(read?.label.length, 61);

    const line =
      '{"gallery":"g","identity":"i","label":"","groups":["a"],"attributes":{"k":"v"},"template":{"template":5,"space":"s",' +
      '"origin":"native","quality":0.5,"imageDigest":null,"enrolledAt":"1970-01-01T00:00:01.500Z"},"space":"s","dimensions":2,' +
      '"vector":"mpkZP83MTL8="}\n';
    assert.equal(encodeTemplate('jsonl', item).toString(), line);
    // With an empty line, and without an end of the last one.
    const text = Buffer.from(`${line}\n${line.trimEnd()}`);
    assert.deepEqual(await collect(readTemplates(new ByteReader(streamOf(text, 10)))), [item, item]);
    assert.deepEqual(await collect(readTemplates(new ByteReader(streamOf(Buffer.alloc(0))))), []);
  });

  it('in a damaged file are read up to the damage, and the place is told', async () => {
    const line = encodeTemplate('jsonl', made);
    const message = encodeTemplate('binary', made);
    const cases: [Buffer, number, RegExp][] = [
      [Buffer.concat([line, line.subarray(0, -20)]), 1, /line 2 .*cut short/],
      [Buffer.concat([line, Buffer.from('{"gallery":1}\n')]), 1, /line 2.* is no JSON object|line 2: gallery/],
      [Buffer.from(line.toString().replace('"dimensions":512', '"dimensions":511')), 0, /2048 bytes, 511 dimensions/],
      [Buffer.from(line.toString().replace('["night","staff"]', '"night"')), 0, /line 1: groups/],
      [Buffer.concat([message, message.subarray(0, -1)]), 1, /item 2, at byte \d+: the file ends after/],
      [Buffer.concat([message, message.subarray(0, 1)]), 1, /item 2.*within a length/],
      [Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f]), 0, /item 1.*no file of templates/],
      [Buffer.from([3, 0xff, 0xff, 0xff]), 0, /item 1.*no ExportTemplatesResponse/],
      [Buffer.from([3, 0x0a, 1, 0x67]), 0, /item 1.*lacks template/],
      [Buffer.from([0x1f, 0x8b, 8, 0]), 0, /gzip/],
    ];
    for (const [file, whole, says] of cases) {
      let read = 0;
      await assert.rejects(
        async () => {
          for await (const item of readTemplates(new ByteReader(streamOf(file)))) {
            assert.deepEqual(item, made);
            read++;
          }
        },
        { code: 'INVALID_ARGUMENT', message: says },
      );
      assert.equal(read, whole);
    }
  });

  it('are refused one by one, with their reasons, and the others go on', async () => {
    await withDatabase({ embedder: false }, async (database) => {
      await database.createGallery({
        gallery: 'g',
        space,
        dimensions: 512,
        threshold: 0.2,
        templatesPerIdentityMax: 2,
      });
      const with_ = (change: Partial<ExportedTemplate['template']>): ExportedTemplate => ({
        ...made,
        template: { ...made.template, ...change },
      });
      const cases: [ExportedTemplate, string][] = [
        [made, 'added'],
        [made, 'present'],
        [{ ...made, gallery: 'nowhere' }, 'GALLERY_NOT_FOUND'],
        [{ ...made, identity: '' }, 'INVALID_IDENTIFIER'],
        [{ ...made, label: 'a\u0000b' }, 'INVALID_IDENTIFIER'],
        [with_({ space: 'another' }), 'INVALID_ARGUMENT'],
        [{ ...with_({ space: 'another' }), embedding: { ...made.embedding, space: 'another' } }, 'SPACE_MISMATCH'],
        [{ ...made, embedding: { space, vector: [1, 2, 3] } }, 'VECTOR_WRONG_LENGTH'],
        [{ ...made, embedding: { space, vector: Array.from({ length: 512 }, () => Number.NaN) } }, 'VECTOR_NOT_FINITE'],
        [{ ...made, embedding: { space, vector: new Float32Array(512) } }, 'VECTOR_ZERO_NORM'],
        [with_({ quality: 1.5 }), 'INVALID_ARGUMENT'],
        [with_({ imageDigest: 'AB'.repeat(32) }), 'INVALID_ARGUMENT'],
        [with_({ enrolledAt: new Date(Number.NaN) }), 'INVALID_ARGUMENT'],
        [with_({ origin: 'invented' as 'native' }), 'INVALID_ARGUMENT'],
        // The same photo at another time is another template.
        [with_({ enrolledAt: new Date(1) }), 'added'],
        [with_({ enrolledAt: new Date(2) }), 'LIMIT_EXCEEDED'],
      ];
      assert.deepEqual(
        codes(
          await imported(
            database,
            cases.map(([item]) => item),
          ),
        ),
        cases.map(([, code]) => code),
      );
      const stored = await collect(database.exportTemplates({ gallery: 'g' }));
      assert.deepEqual(stored.map(lasting), [made, with_({ enrolledAt: new Date(1) })].map(lasting));
      await assert.rejects(imported(database, [made], { signal: AbortSignal.abort() }), { code: 'CANCELLED' });
      assert.throws(() => database.importTemplates([], { duplicates: 'perhaps' as 'ignore' }), {
        code: 'INVALID_ARGUMENT',
      });
    });
  });

  it('of one face under two names come in as they were, unless the caller says otherwise', async () => {
    await withDatabase({ embedder: false }, async (database) => {
      await database.createGallery({ gallery: 'g', space, dimensions: 512, threshold: 0.2, duplicates: 'refuse' });
      const other = { ...made, identity: 'another' };
      assert.deepEqual(codes(await imported(database, [made, other])), ['added', 'added']);
      const third = { ...made, identity: 'a third' };
      assert.deepEqual(codes(await imported(database, [third, other], { duplicates: 'refuse' })), [
        'DUPLICATE_FACE',
        'present',
      ]);
      const { sequence, identityCount } = await database.getGallery({ gallery: 'g' });
      assert.deepEqual([sequence, identityCount], [2, 2]);
    });
  });

  it('go where the caller says, make galleries when asked, and leave what a person has unless they say more', async () => {
    await withDatabase({ embedder: false }, async (database) => {
      const two = [made, { ...made, gallery: 'h', identity: 'q' }];
      assert.deepEqual(codes(await imported(database, two, { createGallery: {} })), [
        'INVALID_ARGUMENT',
        'INVALID_ARGUMENT',
      ]);
      const settings = { threshold: 0.3, description: 'copied', templatesPerIdentityMax: 7 };
      assert.deepEqual(codes(await imported(database, two, { createGallery: settings })), ['added', 'added']);
      const galleries = await database.listGalleries();
      assert.deepEqual(
        galleries.map(({ gallery, description, threshold, dimensions }) => [
          gallery,
          description,
          threshold,
          dimensions,
        ]),
        [
          ['g', 'copied', 0.3, 512],
          ['h', 'copied', 0.3, 512],
        ],
      );
      await database.updateIdentity({ gallery: 'h', identity: 'q', label: 'changed here', groups: ['here'] });
      const silent = {
        ...made,
        label: '',
        groups: [],
        attributes: {},
        identity: 'q',
        template: { ...made.template, enrolledAt: new Date(7) },
      };
      assert.deepEqual(codes(await imported(database, [silent, two[1] ?? made], { gallery: 'h' })), [
        'added',
        'present',
      ]);
      const { label, groups, attributes, templates } = await database.getIdentity({ gallery: 'h', identity: 'q' });
      assert.deepEqual([label, groups, attributes, templates.length], ['changed here', ['here'], made.attributes, 2]);
    });
  });
});
