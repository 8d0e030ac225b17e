/**
 * Many flipped bits in copies of one data file: a directory is filled by the writes of a plan, closed, and then each flip is judged by itself.
 */
import assert from 'node:assert/strict';
import { randomFrom } from '../index/faces.js';
import { call } from './calls.js';
import { DataDamage, type DamageFinding } from './data-damage.js';
import { Host } from './host.js';
import { openPlace } from './place.js';
import { planRun } from './plan.js';
import { planFlip } from './restart-plan.js';
import { World } from './world.js';

const hostOptions = { exactMax: 64, checkpointEvery: 100, durability: 'committed' } as const;
/** Steps of the plan whose enrolments and erasures fill the directory. */
const steps = 250;

export async function sweepFlips(
  seed: number,
  flips: number,
  onFinding: (finding: DamageFinding) => void = () => undefined,
): Promise<readonly DamageFinding[]> {
  const place = openPlace();
  const host = new Host();
  const damage = new DataDamage();
  try {
    const world = new World(hostOptions.exactMax);
    const nowMs = await fill(host, world, seed, place.path);
    await host.close(nowMs);
    const random = randomFrom(seed);
    const findings: DamageFinding[] = [];
    for (let n = 0; n < flips; n++) {
      const finding = await damage.judge(place.path, place.copies, planFlip(random), world, nowMs, hostOptions);
      findings.push(finding);
      onFinding(finding);
    }
    return findings;
  } finally {
    await host.kill();
    await damage.close();
    place.remove();
  }
}

async function fill(host: Host, world: World, seed: number, path: string): Promise<number> {
  const plan = planRun(seed);
  let nowMs = Date.UTC(2026, 0, 1);
  const opened = await host.open(nowMs, { ...hostOptions, path });
  assert.ok('value' in opened, JSON.stringify(opened));
  const run = async (each: Parameters<World['judge']>[0]): Promise<void> => {
    const [outcome] = await host.calls(nowMs, [each]);
    assert.ok(outcome);
    world.judge(each, nowMs, outcome);
  };
  for (const draft of plan.drafts) await run(call('createGallery', draft));
  for (let n = 0; n < steps; n++) {
    const step = plan.step(n);
    nowMs += step.passMs;
    if (step.kind !== 'writes') continue;
    for (const write of step.writes) {
      if (write.kind === 'erase') await run(call('eraseIdentity', write.gallery, write.identity));
      if (write.kind !== 'enroll') continue;
      const { kind: _kind, ...draft } = write;
      // Every seventh step writes what takes pages of its own.
      const attributes = n % 7 === 0 ? { note: 'x'.repeat(5_000) } : draft.attributes;
      await run(call('enroll', { ...draft, attributes }));
    }
  }
  return nowMs;
}
