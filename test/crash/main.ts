/** `npm run crash-test`: kills servers for a while and tells what came of it. Exits 1 when anything was wrong. */
import process from 'node:process';
import { isHarmonidError } from '../../src/errors.js';
import { parseCommand, usage, type CrashCommand } from './options.js';
import { formatReport } from './report.js';
import { runCrashTest } from './rounds.js';

async function run(command: CrashCommand): Promise<void> {
  if (command.kind === 'help') return void process.stdout.write(usage);
  const { options, json } = command;
  process.stderr.write(`seed ${options.seed}\n`);
  const report = await runCrashTest(options, (line) => void process.stderr.write(`${line}\n`));
  process.stdout.write(json ? `${JSON.stringify(report)}\n` : formatReport(report));
  if (report.faults.length > 0) process.exitCode = 1;
}

try {
  await run(parseCommand(process.argv.slice(2), 1 + Math.floor(Math.random() * 999_999_999)));
} catch (error) {
  if (!isHarmonidError(error)) throw error;
  process.stderr.write(`${error.code}: ${error.message}\n`);
  process.exitCode = 2;
}
