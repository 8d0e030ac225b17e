/** `npm run fuzz`: attacks a server for a while and tells what came of it. Exits 1 when there is a finding. */
import process from 'node:process';
import { isHarmonidError } from '../../src/errors.js';
import { parseCommand, usage, type FuzzCommand } from './options.js';
import { formatReport } from './report.js';
import { runFuzz } from './rounds.js';

async function run(command: FuzzCommand): Promise<void> {
  if (command.kind === 'help') return void process.stdout.write(usage);
  const { options, json } = command;
  process.stderr.write(`seed ${options.seed}\n`);
  const report = await runFuzz(options, (line) => void process.stderr.write(`${line}\n`));
  process.stdout.write(json ? `${JSON.stringify(report)}\n` : formatReport(report));
  if (report.findings.length > 0) process.exitCode = 1;
}

try {
  await run(parseCommand(process.argv.slice(2), 1 + Math.floor(Math.random() * 999_999_999)));
} catch (error) {
  if (!isHarmonidError(error)) throw error;
  process.stderr.write(`${error.code}: ${error.message}\n`);
  process.exitCode = 2;
}
