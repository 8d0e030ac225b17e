/** A configuration read from texts: a real file in a folder of its own, variables and flags; and a simpler model of places. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfiguration, type EffectiveConfiguration } from '../../src/config/configuration.js';
import type { Origin, Problem } from '../../src/config/origin.js';
import { keysOf, type Key } from '../../src/config/outline.js';
import { outline } from '../../src/config/schema.js';
import { isHarmonidError, type HarmonidError } from '../../src/errors.js';

export interface Sources {
  /** What is in the file; there is none by default. */
  readonly yaml?: string;
  readonly variables?: Readonly<Record<string, string>>;
  /** Values by the names of their keys. */
  readonly flags?: Readonly<Record<string, unknown>>;
}

export function keyNamed(name: string): Key {
  const key = keysOf(outline).find((one) => one.name === name);
  assert.ok(key, `there is no key ${name}`);
  return key;
}

/** Runs `work` with the path of a configuration file in a folder of its own. */
export async function withFile<T>(yaml: string, work: (file: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'harmonid-config-'));
  try {
    const file = join(folder, 'harmonid.yaml');
    await writeFile(file, yaml);
    return await work(file);
  } finally {
    await rm(folder, { recursive: true });
  }
}

export async function configured({ yaml, variables = {}, flags = {} }: Sources): Promise<EffectiveConfiguration> {
  const given = Object.entries(flags).map(([name, value]) => {
    const key = keyNamed(name);
    return { key, value, origin: { kind: 'flag', name: key.flag ?? name } as const };
  });
  const read = (file?: string): Promise<EffectiveConfiguration> =>
    readConfiguration({ file, environment: variables, flags: given });
  return yaml === undefined ? read() : withFile(yaml, read);
}

/** The value of a key, and from where. */
export function settingOf({ settings }: EffectiveConfiguration, name: string): { value: unknown; kind: string } {
  const setting = settings.find(({ key }) => key.name === name);
  assert.ok(setting, `there is no key ${name}`);
  return { value: setting.value, kind: setting.origin.kind };
}

/** The CONFIG_INVALID that these sources lead to, and its problems. */
export async function refused(sources: Sources): Promise<{ error: HarmonidError; problems: readonly Problem[] }> {
  try {
    await configured(sources);
  } catch (error) {
    if (!isHarmonidError(error) || error.code !== 'CONFIG_INVALID') throw error;
    return { error, problems: error.details['problems'] as readonly Problem[] };
  }
  assert.fail('the configuration was taken');
}

/** `line:column` of an origin in a file. */
export function placeOf(origin: Origin | undefined): string {
  assert.equal(origin?.kind, 'file');
  return `${origin.line}:${origin.column}`;
}

/** `line:column` of the first `part` in `text`, by counting. */
export function placeIn(text: string, part: string): string {
  const at = text.indexOf(part);
  assert.ok(at >= 0, `no ${part} in the file`);
  const before = text.slice(0, at).split('\n');
  return `${before.length}:${(before.at(-1)?.length ?? 0) + 1}`;
}
