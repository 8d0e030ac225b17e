/** `harmonid top`: a server at work, live. */
import { setTimeout as pause } from 'node:timers/promises';
import { Command } from 'commander';
import { HarmonidError } from '../../errors.js';
import { exitCodes, type ExitCode } from '../failure.js';
import { Look, Span } from '../metric-samples.js';
import { describe, wholeNumber, type OutputOptions } from '../options.js';
import type { Run } from '../run.js';
import { painter, printLine, type Terminal } from '../terminal.js';
import { topLines } from '../top-view.js';

interface TopOptions extends OutputOptions {
  readonly status: string;
  readonly interval: number;
  readonly once?: boolean;
}

const answerMsMax = 5_000;
/** Home, clear to the end of the screen; the screen beside the usual one, without a cursor; and back. */
const redraw = '\u001b[H\u001b[J';
const enter = '\u001b[?1049h\u001b[?25l';
const leave = '\u001b[?25h\u001b[?1049l';

export function topCommand(run: Run): Command {
  const command = new Command('top')
    .summary('watch a server at work')
    .description(
      'Shows calls, latencies, queues, decisions and galleries of a server, as they are in each interval. The server must tell its status: `harmonid serve --status 127.0.0.1:9464`.',
    )
    .option('--status <host:port>', 'where the server tells its status', '127.0.0.1:9464')
    .option('--interval <seconds>', 'between two looks', wholeNumber, 2)
    .option('--once', 'look for one interval, print, and exit (default when stdout is no terminal)');
  describe(command, ['harmonid top', 'harmonid top --status 10.0.0.5:9464 --once'], 'Ctrl-C ends it.');
  return command.action((options: TopOptions) => run(command, (terminal) => top(terminal, options)));
}

async function top(terminal: Terminal, { status, interval, once }: TopOptions): Promise<ExitCode> {
  const paint = painter(terminal, 'stdout');
  const intervalMs = 1000 * Math.max(1, interval);
  let before = await look(status);
  const next = async (): Promise<string> => {
    const after = await look(status);
    const span = new Span(before, after);
    before = after;
    return topLines(paint, span);
  };
  if (once || !terminal.stdout.isTTY) {
    if (await interrupted(terminal, intervalMs)) return exitCodes.interrupted;
    printLine(terminal, await next());
    return exitCodes.done;
  }
  terminal.stdout.write(enter);
  try {
    while (!(await interrupted(terminal, intervalMs))) {
      const lines = (await next()).split('\n');
      // What does not fit would scroll the rest away.
      terminal.stdout.write(redraw + lines.slice(0, terminal.stdout.rows - 1).join('\r\n'));
    }
  } finally {
    terminal.stdout.write(leave);
  }
  return exitCodes.done;
}

async function interrupted({ interrupt }: Terminal, ms: number): Promise<boolean> {
  return pause(ms, false, { signal: interrupt }).catch(() => true);
}

/** @throws UNAVAILABLE */
async function look(status: string): Promise<Look> {
  const url = `http://${status}/metrics`;
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(answerMsMax) });
    if (!response.ok) throw new Error(`it answered ${response.status}`);
    return new Look(await response.text(), Date.now());
  } catch (error) {
    const reason =
      error instanceof Error ? ((error.cause as Error | undefined)?.message ?? error.message) : String(error);
    throw new HarmonidError('UNAVAILABLE', `no server tells its status at ${url}: ${reason}`, { cause: error });
  }
}
