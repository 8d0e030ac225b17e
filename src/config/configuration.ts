/**
 * One configuration out of a file, the environment and flags.
 *
 * Promises: flags win over the environment, the environment over the file, the file over the defaults, key by key. Every value that was
 * given is looked at, also one that another overrides, and all problems are told in one CONFIG_INVALID. What comes out is complete, and says of
 * each key where its value comes from. Nothing here knows the process: its environment and its flags are arguments.
 */
import { readFile } from 'node:fs/promises';
import { HarmonidError } from '../errors.js';
import { fileVariable, readEnvironment, type Environment } from './environment.js';
import { readConfigurationText } from './file.js';
import { problemText, wrongValue, type Given, type Origin, type Problem, type Reading } from './origin.js';
import { keysOf, type Key } from './outline.js';
import { configurationSchema, outline, type Configuration } from './schema.js';

export interface ConfigurationSources {
  /** Wins over HARMONID_CONFIG. */
  readonly file?: string | undefined;
  readonly environment: Environment;
  /** Options of the command line. */
  readonly flags: readonly Given[];
}

/** The value of a key, and who says so. */
export interface Setting {
  readonly key: Key;
  /** Undefined when it is not set and has no default. */
  readonly value: unknown;
  readonly origin: Origin;
}

export interface EffectiveConfiguration {
  readonly values: Configuration;
  /** Every key, in the order of the reference. */
  readonly settings: readonly Setting[];
  /** Null when there is none. */
  readonly file: string | null;
}

const nothing: Reading = { given: [], problems: [] };

/** @throws CONFIG_INVALID with everything that is wrong, in `details.problems`, too */
export async function readConfiguration(sources: ConfigurationSources): Promise<EffectiveConfiguration> {
  const keys = keysOf(outline);
  // An empty variable is one that is not set.
  const file = sources.file ?? (sources.environment[fileVariable] || null);
  // The weakest first: later ones win.
  const readings = [
    file === null ? nothing : await readFromFile(file),
    readEnvironment(sources.environment, keys),
    { given: sources.flags, problems: [] },
  ];
  const given = readings.flatMap((reading) => reading.given);
  const problems = readings.flatMap((reading) => reading.problems);
  for (const one of given) if (!one.key.schema.safeParse(one.value).success) problems.push(wrongValue(one));
  const strongest = new Map(given.map((one) => [one.key, one]));
  if (problems.length > 0) throw invalid(inOrder(problems));

  const values = parseWhole([...strongest.values()]);
  const settings = keys.map((key): Setting => {
    const one = strongest.get(key);
    return one
      ? { key, value: one.value, origin: one.origin }
      : { key, value: key.default, origin: { kind: 'default' } };
  });
  return { values, settings, file };
}

async function readFromFile(file: string): Promise<Reading> {
  try {
    return readConfigurationText(file, await readFile(file, 'utf8'), outline);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    const message = `the configuration file ${file} cannot be read: ${error.message}`;
    return { given: [], problems: [{ message, key: null }] };
  }
}

/** Fills in the defaults, and holds keys against each other: each by itself is right here. */
function parseWhole(given: readonly Given[]): Configuration {
  const parsed = configurationSchema.safeParse(nested(given));
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }): Problem => {
    const name = path.join('.');
    const givenOf = (prefix: string): Given | undefined =>
      given.find(({ key }) => key.name === prefix || key.name.startsWith(`${prefix}.`));
    // A default may not fit to what was given beside it.
    const culprit = givenOf(name) ?? givenOf(path.slice(0, -1).join('.'));
    return { message: `${name} ${message}`, origin: culprit?.origin, key: name };
  });
  throw invalid(problems);
}

/** `embedder.threads` and its value as an object of objects. */
function nested(given: readonly Given[]): Record<string, unknown> {
  const whole: Record<string, unknown> = {};
  for (const { key, value } of given) {
    let place = whole;
    for (const segment of key.segments.slice(0, -1)) place = (place[segment] ??= {}) as Record<string, unknown>;
    place[key.segments.at(-1) ?? ''] = value;
  }
  return whole;
}

/** As they stand in the file; what has no line goes after it. */
function inOrder(problems: readonly Problem[]): readonly Problem[] {
  const lineOf = ({ origin }: Problem): number => (origin?.kind === 'file' ? origin.line : Number.MAX_SAFE_INTEGER);
  return problems.toSorted((a, b) => lineOf(a) - lineOf(b));
}

function invalid(problems: readonly Problem[]): HarmonidError {
  const texts = problems.map(problemText);
  const message =
    texts.length === 1 ? texts.join() : `the configuration has ${texts.length} errors:\n  ${texts.join('\n  ')}`;
  return new HarmonidError('CONFIG_INVALID', message, { details: { problems } });
}
