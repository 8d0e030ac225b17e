/**
 * The environment's part of the configuration: `HARMONID_LOG_LEVEL=debug`. Pure; the environment is an argument.
 *
 * Promises: a variable that begins like ours and is none is a problem, so that a typing error does not pass for a setting. An empty variable is
 * one that is not set. Where a key takes a text, that is the variable's text as it stands; any other value is written as in a file.
 */
import { parse } from 'yaml';
import { nearest } from './nearest.js';
import type { Given, Origin, Problem, Reading } from './origin.js';
import { variableOf, variablePrefix, type Key } from './outline.js';

/** Texts by the names of their variables. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Names the configuration file. */
export const fileVariable = 'HARMONID_CONFIG';

/**
 * Variables that begin like ours and are not meant for us: those of our own tests, what commands show to a server, and those that Kubernetes puts into every container beside a
 * service whose name begins with "harmonid" (HARMONID_SERVICE_HOST, HARMONID_PORT=tcp://…, HARMONID_PORT_50051_TCP_ADDR).
 */
const othersName =
  /^HARMONID_(TEST_|(API_KEY(_FILE)?|TLS(_(CA|CERTIFICATE|KEY|NAME))?)$|(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$)/;
const othersAddress = /^(tcp|udp|sctp):\/\//;

export function readEnvironment(environment: Environment, keys: readonly Key[]): Reading {
  const byVariable = new Map(keys.map((key) => [key.variable, key]));
  const given: Given[] = [];
  const problems: Problem[] = [];
  for (const [name, text] of Object.entries(environment)) {
    if (!name.startsWith(variablePrefix) || !text || name === fileVariable) continue;
    const key = byVariable.get(name);
    const origin: Origin = { kind: 'variable', name };
    if (key) given.push({ key, value: key.isText ? text : valueOf(text), origin });
    else if (!othersName.test(name) && !(name.endsWith('_PORT') && othersAddress.test(text))) {
      const near = nearestVariable(name, keys);
      problems.push({
        message: `there is no such variable${near === undefined ? '' : `; did you mean ${near}?`}`,
        origin,
        key: null,
      });
    }
  }
  return { given, problems };
}

/** Also for who follows the rule where a variable has a name of its own. The prefix, which all have, does not make names alike. */
function nearestVariable(name: string, keys: readonly Key[]): string | undefined {
  const variables = new Map([[fileVariable, fileVariable]]);
  for (const { variable, segments } of keys) variables.set(variable, variable).set(variableOf(segments), variable);
  const bare = (variable: string): string => variable.slice(variablePrefix.length);
  const near = nearest(bare(name), [...variables.keys()].map(bare));
  return near === undefined ? undefined : variables.get(variablePrefix + near);
}

/** The text itself when it is no YAML: it is refused where its type is looked at. */
function valueOf(text: string): unknown {
  try {
    return parse(text, { logLevel: 'error' });
  } catch {
    return text;
  }
}
