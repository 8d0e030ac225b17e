/** Method: files that are wrong in known ways; the expected place is found by counting in the text. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { configured, placeIn, placeOf, refused, settingOf } from './sources.js';

interface Case {
  readonly what: string;
  readonly yaml: string;
  /** What stands at the place that is told. */
  readonly at: string;
  readonly says: RegExp;
}

const cases: readonly Case[] = [
  {
    what: 'a mistyped key',
    yaml: 'data: d\nembedder:\n  threds: 3\n',
    at: 'threds',
    says: /^there is no key embedder\.threds; did you mean embedder\.threads\?$/,
  },
  {
    what: 'a mistyped section',
    yaml: '# people\nembeder:\n  threads: 3\n',
    at: 'embeder',
    says: /^there is no key embeder; did you mean embedder\?$/,
  },
  {
    what: 'a key in the wrong section',
    yaml: 'log:\n  provider: cpu\n',
    at: 'provider',
    says: /^there is no key log\.provider; did you mean embedder\.provider\?$/,
  },
  { what: 'a key like none', yaml: 'zebra: 1\n', at: 'zebra', says: /^there is no key zebra$/ },
  { what: 'the key of every object', yaml: '__proto__: 1\n', at: '__proto__', says: /^there is no key __proto__$/ },
  {
    what: 'a word for a number',
    yaml: 'embedder:\n  batchMax: "16"\n',
    at: '"16"',
    says: /^embedder\.batchMax is "16", a whole number from 1 to 256 is wanted$/,
  },
  { what: 'half a number', yaml: 'drainSeconds:   1.5', at: '1.5', says: /^drainSeconds is 1\.5, a whole number/ },
  {
    what: 'too large a number',
    yaml: 'graph: { recallMin: 1.01 }',
    at: '1.01',
    says: /a number from 0 to 1 is wanted$/,
  },
  { what: 'no number', yaml: 'graph: { recallMin: .nan }', at: '.nan', says: /^graph\.recallMin is NaN/ },
  {
    what: 'a word for a yes',
    yaml: 'vectorsOnly: yes',
    at: 'yes',
    says: /^vectorsOnly is "yes", true or false is wanted$/,
  },
  {
    what: 'no choice',
    yaml: 'log:\n  level: loud',
    at: 'loud',
    says: /^log\.level is "loud", one of debug, info, warn, error is wanted$/,
  },
  { what: 'a port out of range', yaml: 'listen: a:65536', at: 'a:65536', says: /^listen is "a:65536", host:port/ },
  { what: 'no value', yaml: 'log:\n  level:\n', at: 'level', says: /^log\.level is empty, one of/ },
  { what: 'a list for a text', yaml: 'data: [a, b]', at: '[a', says: /^data is a list, a path is wanted$/ },
  { what: 'a section for a text', yaml: 'data:\n  dir: b', at: 'dir', says: /^data is a map, a path is wanted$/ },
  {
    what: 'a value for a section',
    yaml: 'log: info',
    at: 'info',
    says: /^log is no section: keys with values are wanted$/,
  },
  { what: 'a list for everything', yaml: '- data: d', at: '- data', says: /^the configuration is no section/ },
  { what: 'a key that is there twice', yaml: 'data: a\ndata: b', at: 'data: b', says: /^not YAML: .*unique/ },
  { what: 'a text without its end', yaml: 'data: a\nlisten: "b', at: '', says: /^not YAML: .*quote/ },
  { what: 'an alias', yaml: 'data: *elsewhere', at: '*elsewhere', says: /^aliases are not taken/ },
  { what: 'a tag', yaml: 'data: !secret a', at: '!secret', says: /^not YAML: .*!secret/ },
  { what: 'two documents', yaml: 'data: a\n---\ndata: b', at: '---', says: /^not YAML: / },
];

describe('a configuration file', () => {
  for (const { what, yaml, at, says } of cases) {
    it(`with ${what} is refused at its place`, async () => {
      const { error, problems } = await refused({ yaml });
      const [problem] = problems;
      assert.ok(problem && problems.length === 1, error.message);
      assert.match(problem.message, says);
      if (at !== '') assert.equal(placeOf(problem.origin), placeIn(yaml, at));
      assert.ok(error.message.includes(`harmonid.yaml:${placeOf(problem.origin)}: ${problem.message}`));
    });
  }

  it('tells all its errors, in the order of its lines', async () => {
    const yaml = 'listen: nowhere\nlog:\n  levle: info\n  level: loud\ngraph: { exactMax: -1, recall: 1 }\n';
    const { problems } = await refused({ yaml });
    const expected = ['nowhere', 'levle', 'loud', '-1', 'recall'].map((part) => placeIn(yaml, part));
    assert.deepEqual(problems.map(({ origin }) => placeOf(origin)).sort(), [...expected].sort());
    const lines = problems.map(({ origin }) => (origin?.kind === 'file' ? origin.line : 0));
    assert.deepEqual(lines, [1, 3, 4, 5, 5]);
  });

  it('may be empty, and so may its sections', async () => {
    for (const yaml of ['', '# nothing\n', 'log:\nembedder:\n  # threads: 3\n', 'log: {}', '{ log }'])
      assert.deepEqual(settingOf(await configured({ yaml }), 'log.level'), { value: 'info', kind: 'default' });
  });

  it('says of each value where it stands', async () => {
    const yaml = '# people\ndata: /srv\n\nlog:\n  level:    warn\n';
    const { settings } = await configured({ yaml });
    const places = settings.flatMap(({ key, origin }) => (origin.kind === 'file' ? [[key.name, placeOf(origin)]] : []));
    assert.deepEqual(places, [
      ['data', placeIn(yaml, '/srv')],
      ['log.level', placeIn(yaml, 'warn')],
    ]);
  });
});
