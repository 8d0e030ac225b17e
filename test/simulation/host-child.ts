/**
 * The process in which an index lives, so that it can be killed, starved and locked out. Not a test: the simulation starts it.
 *
 * It does what its parent says, and answers each message once; with `each`, every call of a batch is answered as soon as it is done, so that the
 * parent knows what was acknowledged before it kills. The time is the parent's.
 */
import process from 'node:process';
import { asHarmonidError } from '../../src/errors.js';
import type { Finding } from '../../src/index/findings.js';
import { openIdentityIndex, type IdentityIndex, type IdentityIndexOptions } from '../../src/index/identity-index.js';
import type { EraseAnswer } from '../../src/index/records.js';
import type { Call, ErasureInBrief, GalleryDump, Outcome } from './calls.js';

export type HostOptions = Pick<
  IdentityIndexOptions,
  'path' | 'readOnly' | 'durability' | 'exactMax' | 'checkpointEvery'
>;

/** `nowMs` is the time that the index is told. */
export type HostCommand =
  | { readonly kind: 'open'; readonly nowMs: number; readonly options: HostOptions }
  | { readonly kind: 'close'; readonly nowMs: number }
  | { readonly kind: 'dump'; readonly nowMs: number; readonly asked: Readonly<Record<string, readonly string[]>> }
  | { readonly kind: 'check'; readonly nowMs: number }
  | { readonly kind: 'calls'; readonly nowMs: number; readonly calls: readonly Call[]; readonly each: boolean };

export interface HostRequest {
  readonly id: number;
  readonly command: HostCommand;
}

export interface HostReply {
  readonly id: number;
  /** The place of a call in its batch; without it the reply ends the request. */
  readonly position?: number;
  readonly outcome?: Outcome;
  readonly outcomes?: readonly Outcome[];
  /** What the index warned of since the last reply. */
  readonly warnings?: readonly string[];
}

/** More than a simulated gallery has. */
const dumpLimit = 1_000_000;

let index: IdentityIndex | null = null;
let nowMs = 0;
let warnings: string[] = [];

function opened(): IdentityIndex {
  if (!index) throw new Error('no index is open in this process');
  return index;
}

function warn(message: string, facts: object): void {
  const texts = Object.entries(facts).map(([name, fact]) => {
    const value: unknown = fact;
    if (!(value instanceof Error)) return `${name} ${String(value)}`;
    return `${name} ${value.message} ${value.cause instanceof Error ? value.cause.message : ''}`;
  });
  warnings.push(`${message}: ${texts.join(', ')}`);
}

async function outcomeOf(work: () => unknown): Promise<Outcome> {
  try {
    return { value: await work() };
  } catch (error) {
    const { code, message, cause } = asHarmonidError(error);
    return { code, message: cause instanceof Error ? `${message}: ${cause.stack ?? cause.message}` : message };
  }
}

function run({ method, args }: Call): Promise<Outcome> {
  return outcomeOf(() => {
    const target = opened();
    if (method === 'eraseIdentity') return erasureOf(target.eraseIdentity(...args));
    const work = target[method] as (...args: readonly unknown[]) => unknown;
    return work(...args);
  });
}

/** What the model tells of an erasure; receipts and files have tests of their own. */
async function erasureOf(erasing: Promise<EraseAnswer>): Promise<ErasureInBrief> {
  const { existed, templatesErased, sequence } = await erasing;
  return { existed, templatesErased, sequence };
}

async function dump(asked: Readonly<Record<string, readonly string[]>>): Promise<readonly GalleryDump[]> {
  const target = opened();
  const stats = await target.stats();
  const dumps: GalleryDump[] = [];
  for (const gallery of target.listGalleries()) {
    const name = gallery.gallery;
    const identities = target.listIdentities({ gallery: name, limit: dumpLimit });
    const groups = new Set(identities.flatMap(({ groups }) => groups));
    dumps.push({
      gallery,
      stats: stats.find((each) => each.gallery === name),
      identities,
      asked: await Promise.all(
        (asked[name] ?? []).map((identity) => outcomeOf(() => target.getIdentity(name, identity))),
      ),
      members: Object.fromEntries(
        Array.from(groups, (group) => [
          group,
          target.listIdentities({ gallery: name, limit: dumpLimit, groups: [group] }).map(({ identity }) => identity),
        ]),
      ),
      templates: Array.from(target.exportTemplates(name), ({ identity, template, vector }) => ({
        identity: identity.identity,
        template,
        vector,
      })),
    });
  }
  return dumps;
}

async function check(): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for await (const finding of opened().check()) findings.push(finding);
  return findings;
}

async function answer({ id, command }: HostRequest): Promise<HostReply> {
  nowMs = command.nowMs;
  switch (command.kind) {
    case 'open':
      return {
        id,
        outcome: await outcomeOf(async () => {
          index = await openIdentityIndex({ ...command.options, clock: () => nowMs, onWarning: warn });
        }),
      };
    case 'close':
      return {
        id,
        outcome: await outcomeOf(async () => {
          const closing = opened();
          index = null;
          await closing.close();
        }),
      };
    case 'dump':
      return { id, outcome: await outcomeOf(() => dump(command.asked)) };
    case 'check':
      return { id, outcome: await outcomeOf(check) };
    case 'calls':
      return {
        id,
        outcomes: await Promise.all(
          command.calls.map(async (each, position) => {
            const outcome = await run(each);
            if (command.each) tell({ id, position, outcome });
            return outcome;
          }),
        ),
      };
  }
}

function tell(reply: HostReply): void {
  process.send?.(reply);
}

process.on('message', (request: HostRequest) => {
  void answer(request).then((reply) => {
    tell({ ...reply, warnings });
    warnings = [];
  });
});
process.on('disconnect', () => process.exit(0));
