/** `npm run bench -- <bench>`: runs one workload beside its peers and prints the figures with the machine. */
import process from 'node:process';
import { HarmonidError, isHarmonidError } from '../src/errors.js';
import { benchChurn } from './churn.js';
import { benchEmbed } from './embed.js';
import { benchEnroll } from './enroll.js';
import { benchGraph } from './graph.js';
import { benchGuard } from './guard.js';
import { describeMachine, peakMemoryBytes } from './machine.js';
import { benchMap } from './map.js';
import { parseCommand, usage, type Bench, type BenchCommand, type BenchOptions } from './options.js';
import { benchOverload } from './overload.js';
import { installPeers } from './peers.js';
import type { Progress } from './progress.js';
import { formatReport, rounded, type BenchReport, type Workload } from './report.js';
import { benchReopen } from './reopen.js';
import { benchRollout } from './rollout.js';
import { benchSearch } from './search.js';
import { benchServer } from './server.js';

const workloads: Readonly<Record<Bench, (options: BenchOptions, progress: Progress) => Promise<Workload>>> = {
  search: benchSearch,
  enroll: benchEnroll,
  embed: benchEmbed,
  server: benchServer,
  guard: benchGuard,
  overload: benchOverload,
  reopen: benchReopen,
  map: benchMap,
  rollout: benchRollout,
  graph: benchGraph,
  churn: benchChurn,
};

const progress: Progress = (message) => void process.stderr.write(`${message}\n`);

async function run(command: BenchCommand): Promise<void> {
  if (command.kind === 'help') return void process.stdout.write(usage);
  if (command.kind === 'install-peers') return installPeers(progress);
  const startedAt = performance.now();
  const machine = await describeMachine();
  const workload = await workloads[command.bench](command.options, progress);
  const report: BenchReport = {
    bench: command.bench,
    machine,
    ...workload,
    peakMemoryMiB: Math.round(peakMemoryBytes() / 2 ** 20),
    seconds: rounded((performance.now() - startedAt) / 1000),
  };
  process.stdout.write(command.json ? `${JSON.stringify(report)}\n` : formatReport(report));
}

try {
  await run(parseCommand(process.argv.slice(2)));
} catch (error) {
  if (!isHarmonidError(error)) throw error;
  process.stderr.write(`${error.code}: ${error.message}\n`);
  process.exitCode = error instanceof HarmonidError && error.code === 'INVALID_ARGUMENT' ? 2 : 1;
}
