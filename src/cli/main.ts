#!/usr/bin/env node
/**
 * The command line `harmonid`: assembles the commands and turns their outcome into an exit code.
 *
 * This is the only file of the command line that touches the process. Answers go to stdout, the rest to stderr.
 */
import process from 'node:process';
import { Command } from 'commander';
import { version } from '../version.js';
import { auditCommand } from './commands/audit.js';
import { backupCommand } from './commands/backup.js';
import { checkCommand } from './commands/check.js';
import { calibrateCommand } from './commands/calibrate.js';
import { checkpointCommand } from './commands/checkpoint.js';
import { clusterCommand } from './commands/cluster.js';
import { configCommand } from './commands/config.js';
import { embedCommand } from './commands/embed.js';
import { encryptionCommand } from './commands/encryption.js';
import { enrollCommand } from './commands/enroll.js';
import { eraseCommand } from './commands/erase.js';
import { evaluateCommand } from './commands/evaluate.js';
import { exportCommand } from './commands/export.js';
import { galleryCommand } from './commands/gallery.js';
import { identifyCommand } from './commands/identify.js';
import { importCommand } from './commands/import.js';
import { keysCommand } from './commands/keys.js';
import { listCommand } from './commands/list.js';
import { modelsCommand } from './commands/models.js';
import { removeTemplateCommand } from './commands/remove-template.js';
import { restoreCommand } from './commands/restore.js';
import { rolloutCommand } from './commands/rollout.js';
import { serveCommand } from './commands/serve.js';
import { showCommand } from './commands/show.js';
import { statsCommand } from './commands/stats.js';
import { topCommand } from './commands/top.js';
import { updateCommand } from './commands/update.js';
import { verifyCommand } from './commands/verify.js';
import { exitCodesHelp, printUsageError, reportFailure, type ExitCode } from './failure.js';
import { makeRun, pathOf, type Run } from './run.js';
import type { Terminal } from './terminal.js';

/** All commands, in the groups in which the help shows them. */
function assemble(run: Run): Command {
  const program = new Command('harmonid')
    .description('Finds people by their faces: enroll, identify and verify, in a data directory or over gRPC.')
    .version(version)
    .showSuggestionAfterError();
  program.commandsGroup('People:');
  const people = [
    enrollCommand,
    importCommand,
    identifyCommand,
    verifyCommand,
    listCommand,
    showCommand,
    updateCommand,
  ];
  for (const make of [...people, removeTemplateCommand, eraseCommand]) program.addCommand(make(run));
  program.commandsGroup('Databases:');
  for (const make of [
    serveCommand,
    galleryCommand,
    calibrateCommand,
    statsCommand,
    exportCommand,
    checkpointCommand,
    encryptionCommand,
  ])
    program.addCommand(make(run));
  for (const make of [
    topCommand,
    keysCommand,
    auditCommand,
    configCommand,
    backupCommand,
    restoreCommand,
    checkCommand,
  ])
    program.addCommand(make(run));
  program.commandsGroup('Models:');
  for (const make of [embedCommand, clusterCommand, modelsCommand, evaluateCommand, rolloutCommand])
    program.addCommand(make(run));
  program.addHelpText(
    'after',
    `
Every command works on a data directory (--data DIR, default ./data) or on a server (--server HOST:PORT).

Examples:
  $ harmonid enroll alice alice1.jpg alice2.jpg
  $ harmonid import ./people
  $ harmonid identify group.jpg --annotate who.png
  $ harmonid serve --data ./data
  $ harmonid identify group.jpg --server localhost:50051
${exitCodesHelp}`,
  );
  return program;
}

/** Commander throws in place of exiting, and its errors are printed like all others. */
function configure(command: Command, terminal: Terminal, json: boolean): void {
  command
    .exitOverride()
    .configureHelp({ sortOptions: false })
    .configureOutput({ outputError: (text) => printUsageError(terminal, text, { json, command: pathOf(command) }) });
  for (const child of command.commands) configure(child, terminal, json);
}

/** Fires at the first SIGINT or SIGTERM; the second finds no listener and ends the process. */
function listenForInterrupt(): AbortSignal {
  const controller = new AbortController();
  const interrupt = (): void => {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    controller.abort();
  };
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  return controller.signal;
}

const terminal: Terminal = {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  colour: (process.env['NO_COLOR'] ?? '') === '',
  interrupt: listenForInterrupt(),
  environment: process.env,
};

function exit(code: ExitCode): void {
  process.exitCode = code;
}

// The reader of a pipe may go at any time; what is written then goes nowhere.
process.stdout.on('error', () => exit(0));

const program = assemble(makeRun(terminal, exit));
// Commander may refuse the line before it has parsed this option.
const json = process.argv.includes('--json');
configure(program, terminal, json);
try {
  await program.parseAsync(process.argv);
} catch (error) {
  exit(reportFailure(terminal, error, { json, verbose: true, command: program.name() }));
}
