/**
 * Method: what is written of the configuration elsewhere (the page, the example, the JSON Schema, the defaults of the library) against the
 * schema. The example is read as text and as a configuration.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, it } from 'mocha';
import { readConfiguration } from '../../src/config/configuration.js';
import { isSection, keysOf, type Section } from '../../src/config/outline.js';
import { configurationJsonSchema, defaultConfiguration, outline } from '../../src/config/schema.js';
import { defaultImageLimits } from '../../src/embedder/image.js';
import { defaultQualityLimits } from '../../src/embedder/quality.js';
import { messageBytesMaxDefault } from '../../src/server/server.js';
import { repositoryPath } from '../support/paths.js';

const example = join(repositoryPath, 'deploy', 'harmonid.yaml');

describe('what is written of the configuration', () => {
  it('the page is what the schema says', async () => {
    await promisify(execFile)(process.execPath, [join(repositoryPath, 'deploy', 'write-reference.mjs'), '--check']);
  });

  it('every section and every key says what it does', () => {
    const members = (section: Section): readonly { readonly name: string; readonly says: string }[] =>
      [...section.members.values()].flatMap((member) => (isSection(member) ? [member, ...members(member)] : [member]));
    assert.deepEqual(
      members(outline).filter(({ says }) => !/^\S.*\.$/.test(says)),
      [],
    );
  });

  it('what holds without a default is told', () => {
    assert.deepEqual(
      keysOf(outline)
        .filter((key) => (key.default === undefined) !== (key.unset !== undefined))
        .map(({ name }) => name),
      [],
    );
  });

  it('the example is right, shows every key, and has the defaults except where it says so', async () => {
    const { settings } = await readConfiguration({ file: example, environment: {}, flags: [] });
    const lines = readFileSync(example, 'utf8').split('\n');
    for (const { key, value, origin } of settings) {
      if (key.default === undefined) {
        const shown = lines.some((line) =>
          line
            .trim()
            .replace(/^# /, '')
            .startsWith(`${key.segments.at(-1)}: `),
        );
        assert.ok(shown, `${key.name} is not shown`);
        continue;
      }
      assert.equal(origin.kind, 'file', `${key.name} is not shown`);
      if (key.name === 'data' || key.name === 'listen') assert.notDeepEqual(value, key.default);
      else assert.deepEqual(value, key.default, key.name);
    }
  });

  it('the JSON Schema has the keys of the outline, requires none, and takes no others', () => {
    interface Json {
      readonly properties?: Readonly<Record<string, Json>>;
      readonly required?: readonly string[];
      readonly additionalProperties?: boolean;
    }
    const names = (
      { properties, required, additionalProperties }: Json,
      path: readonly string[],
    ): readonly string[] => {
      if (!properties) return [path.join('.')];
      assert.deepEqual([required, additionalProperties], [undefined, false], path.join('.'));
      return Object.entries(properties).flatMap(([name, inner]) => names(inner, [...path, name]));
    };
    assert.deepEqual(
      names(configurationJsonSchema() as Json, []),
      keysOf(outline).map(({ name }) => name),
    );
  });

  it('the defaults are those of the library', () => {
    const { embedder, limits } = defaultConfiguration;
    assert.deepEqual(embedder.imageLimits, defaultImageLimits);
    assert.deepEqual(embedder.qualityLimits, defaultQualityLimits);
    assert.equal(limits.messageBytesMax, messageBytesMaxDefault);
  });
});
