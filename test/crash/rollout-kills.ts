/**
 * Rollouts that are killed: a process moves a gallery to and fro, dies by SIGKILL at a random moment, and the directory is opened again and looked at.
 *
 * A gallery that is through is begun anew.
 *
 * What must hold: the space that serves is the one that the rollout's state says, a step that was acknowledged was not taken back, everybody who
 * was enrolled is found in the space that serves, and a check finds nothing. Then the next process goes on from there.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { openDatabase, type Database, type RolloutState } from '../../src/database.js';
import { rolloutStates } from '../../src/migrate/rollout.js';
import { makeRandom, type Random } from '../../src/random.js';
import { gallery, makeFaces, peopleFirst, spaces, type RolloutReport } from './rollout-messages.js';

export interface RolloutKillsReport {
  readonly kills: number;
  readonly faults: readonly string[];
  /** Steps that were acknowledged, by the state that they led to. */
  readonly steps: Readonly<Record<string, number>>;
  /** States in which directories were found after a kill. */
  readonly found: Readonly<Record<string, number>>;
  readonly enrolled: number;
}

/** A process is killed within so many milliseconds of its opening. */
const lifeMs = 1_500;

export async function runRolloutKills(
  { kills, seed }: { readonly kills: number; readonly seed: number },
  onLine: (line: string) => void,
): Promise<RolloutKillsReport> {
  const path = await mkdtemp(join(tmpdir(), 'harmonid-rollouts-'));
  const random = makeRandom(seed);
  const faults: string[] = [];
  const steps: Record<string, number> = {};
  const found: Record<string, number> = {};
  let people = peopleFirst;
  let enrolled = 0;
  try {
    await enrollFirst(path);
    for (let kill = 1; kill <= kills && faults.length === 0; kill++) {
      const life = await live(path, random);
      for (const state of life.done) steps[state] = (steps[state] ?? 0) + 1;
      people = Math.max(people, ...life.enrolled.map((person) => person + 1));
      if (life.trouble !== null) faults.push(`kill ${kill}: ${life.trouble}`);
      const verdict = await look(path, people, life.done.at(-1) ?? null);
      people = verdict.people;
      found[verdict.state] = (found[verdict.state] ?? 0) + 1;
      faults.push(...verdict.faults.map((fault) => `seed ${seed}, kill ${kill}: ${fault}`));
      if (verdict.state === 'complete' && faults.length === 0) {
        enrolled += people - peopleFirst;
        people = peopleFirst;
        await rm(path, { recursive: true, force: true });
        await enrollFirst(path);
      }
      if (kill % 10 === 0) onLine(`${kill} kills`);
    }
    return { kills, faults, steps, found, enrolled: enrolled + people - peopleFirst };
  } finally {
    if (faults.length === 0) await rm(path, { recursive: true, force: true });
    else onLine(`the directory is kept: ${path}`);
  }
}

async function enrollFirst(path: string): Promise<void> {
  const db = await openDatabase({ path, embedder: false, exactMax: 60 });
  const faces = makeFaces();
  const [{ space, dimensions }] = spaces;
  await db.createGallery({ gallery, space, dimensions, threshold: 0.3, duplicates: 'ignore' });
  await Promise.all(
    Array.from({ length: peopleFirst }, (_, person) =>
      db.enroll({ gallery, identity: `person ${person}`, embeddings: [{ space, vector: faces(person, space) }] }),
    ),
  );
  await db.close();
}

interface Life {
  readonly done: readonly RolloutState[];
  readonly enrolled: readonly number[];
  readonly trouble: string | null;
}

async function live(path: string, random: Random): Promise<Life> {
  const child = fork(new URL('./rollout-child.js', import.meta.url), [path, String(random.below(1_000_000))]);
  const done: RolloutState[] = [];
  const enrolled: number[] = [];
  let trouble: string | null = null;
  const ended = once(child, 'exit');
  let [opens, acts] = [(): void => undefined, (): void => undefined];
  const opened = new Promise<void>((resolve) => (opens = resolve));
  const acted = new Promise<void>((resolve) => (acts = resolve));
  child.on('message', (report: RolloutReport) => {
    if ('done' in report) done.push(report.done);
    else if ('enrolled' in report) enrolled.push(report.enrolled);
    else if ('trouble' in report) trouble = report.trouble;
    opens();
    if (!('opened' in report)) acts();
  });
  // Half of them live to do something, however slow the machine is.
  await Promise.race([random.uniform() < 0.5 ? opened : acted, ended]);
  await delay(random.uniform() * lifeMs);
  child.kill('SIGKILL');
  await ended;
  return { done, enrolled, trouble };
}

interface Verdict {
  readonly state: RolloutState | 'none';
  readonly people: number;
  readonly faults: readonly string[];
}

async function look(path: string, people: number, lastDone: RolloutState | null): Promise<Verdict> {
  const faults: string[] = [];
  // Looked at before anything is taken up again.
  const db = await openDatabase({ path, embedder: false, exactMax: 60, readOnly: true });
  let state: Verdict['state'] = 'none';
  let count = people;
  try {
    const { space, beside, identityCount } = await db.getGallery({ gallery });
    count = identityCount;
    if (identityCount < people) faults.push(`${people} people were acknowledged, ${identityCount} are there`);
    const rollout = await db.rollouts.get({ gallery }).catch(() => null);
    state = rollout?.state ?? 'none';
    if (rollout) {
      const isNew = ['active', 'completing', 'complete'].includes(rollout.state);
      const serving = isNew ? rollout.to.space : rollout.from.space;
      if (space !== serving) faults.push(`in state ${rollout.state} "${space}" serves, it should be "${serving}"`);
      const wantsBeside = ['shadow', 'canary', 'active'].includes(rollout.state);
      if ((beside !== null) !== wantsBeside)
        faults.push(`in state ${rollout.state} there is ${beside ? `"${beside.space}"` : 'nothing'} beside`);
    }
    if (lastDone !== null && !follows(lastDone, state)) faults.push(`${lastDone} was acknowledged, ${state} is found`);
    faults.push(...(await missing(db, space, identityCount)));
    const check = db.check();
    for (let next = await check.next(); !next.done; next = await check.next()) {
      if (next.value.severity === 'error') faults.push(`check: ${next.value.message}`);
    }
  } finally {
    await db.close();
  }
  return { state, people: count, faults };
}

/** Whether a state may be met when another was the last that was acknowledged: the same, or what the next step leads to. */
function follows(done: RolloutState, found: Verdict['state']): boolean {
  if (found === 'none') return false;
  // The next one begins.
  if (done === 'rolled-back') return true;
  return rolloutStates.indexOf(found) >= rolloutStates.indexOf(done);
}

async function missing(db: Database, space: string, people: number): Promise<readonly string[]> {
  const faces = makeFaces();
  const answers = await Promise.all(
    Array.from({ length: people }, (_, person) =>
      db.identify({ gallery, embedding: { space, vector: faces(person, space) }, k: 1, exact: true }),
    ),
  );
  return answers.flatMap(({ candidates }, person) =>
    candidates[0]?.identity === `person ${person}`
      ? []
      : [`person ${person} is searched for in "${space}", ${candidates[0]?.identity ?? 'nobody'} is found`],
  );
}
