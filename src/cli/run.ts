/**
 * How a command runs: with the terminal, to an exit code. A failure is reported once, here.
 */
import type { Command } from 'commander';
import { reportFailure, type ExitCode } from './failure.js';
import type { OutputOptions } from './options.js';
import type { Terminal } from './terminal.js';

/** Runs the work of one command and remembers its exit code. */
export type Run = (command: Command, work: (terminal: Terminal) => Promise<ExitCode>) => Promise<void>;

export function makeRun(terminal: Terminal, exit: (code: ExitCode) => void): Run {
  return async (command, work) => {
    const { json = false, verbose = false } = command.opts<OutputOptions>();
    try {
      exit(await work(terminal));
    } catch (error) {
      exit(reportFailure(terminal, error, { json, verbose, command: pathOf(command) }));
    }
  };
}

/** A command as it is called: `harmonid gallery create`. */
export function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}
