/** `npm run soak`: loads a server for a while and tells what came of it. Exits 1 when anything grew, leaked, was wrong or was lost. */
import process from 'node:process';
import { isHarmonidError } from '../../src/errors.js';
import { parseCommand, usage, type SoakCommand } from './options.js';
import { runSoak, type SoakReport } from './soak.js';

async function run(command: SoakCommand): Promise<void> {
  if (command.kind === 'help') return void process.stdout.write(usage);
  process.stderr.write(`seed ${command.options.seed}\n`);
  const report = await runSoak(command.options, (line) => void process.stderr.write(`${line}\n`));
  process.stdout.write(command.json ? `${JSON.stringify(report)}\n` : formatReport(report));
  if (report.faults.length > 0) process.exitCode = 1;
}

function formatReport({
  minutes,
  errands,
  refused,
  acknowledged,
  erased,
  memory,
  drainMs,
  drainedInFlight,
  turnedAway,
  faults,
}: SoakReport): string {
  const lines = [
    `${minutes} minutes: ${errands} errands done, ${refused} refused; ${acknowledged} people acknowledged, ${erased} of them erased`,
    memory
      ? `memory: the floor rises by ${memory.riseMiB} MiB (${memory.perHourMiB} an hour), ${memory.allowedMiB} are allowed`
      : 'memory: not judged, less than five minutes',
    `drained with ${drainedInFlight} calls in flight in ${drainMs} ms, ${turnedAway} lanes were turned away`,
    faults.length === 0 ? 'nothing grew, leaked, was wrong or was lost' : `${faults.length} faults:`,
    ...faults,
  ];
  return `${lines.join('\n')}\n`;
}

try {
  await run(parseCommand(process.argv.slice(2), 1 + Math.floor(Math.random() * 999_999_999)));
} catch (error) {
  if (!isHarmonidError(error)) throw error;
  process.stderr.write(`${error.code}: ${error.message}\n`);
  process.exitCode = 2;
}
