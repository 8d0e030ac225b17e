/** `npm run rollout-crash-test -- [--kills N] [--seed S]`: kills rollouts for a while and tells what came of it. Exits 1 when anything was wrong. */
import process from 'node:process';
import { parseArgs } from 'node:util';
import { runRolloutKills } from './rollout-kills.js';

const { values } = parseArgs({ options: { kills: { type: 'string' }, seed: { type: 'string' } } });
const kills = Number(values.kills ?? 50);
const seed = Number(values.seed ?? 1 + Math.floor(Math.random() * 999_999_999));
process.stderr.write(`seed ${seed}\n`);
const startedMs = performance.now();
const report = await runRolloutKills({ kills, seed }, (line) => void process.stderr.write(`${line}\n`));
const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
process.stdout.write(`${JSON.stringify({ ...report, seconds }, null, 2)}\n`);
if (report.faults.length > 0) process.exitCode = 1;
