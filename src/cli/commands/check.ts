/** `harmonid check`: is everything in a data directory as it must be? */
import { Command } from 'commander';
import type { CheckCounts, Finding } from '../../api.js';
import { HarmonidError } from '../../errors.js';
import { encryptionOf, withDatabase } from '../connection.js';
import { isDirectory } from '../directories.js';
import { exitCodes, usageError } from '../failure.js';
import { describe, targetOptions, type TargetOptions } from '../options.js';
import type { Run } from '../run.js';
import { painter, printJson, printLine, type Paint, type Terminal } from '../terminal.js';
import { counted, printable } from '../wording.js';

interface CheckOptions extends TargetOptions {
  readonly repair?: boolean;
  readonly search: boolean;
}

type Findings<R> = AsyncGenerator<Finding, R, void>;

export function checkCommand(run: Run): Command {
  const command = new Command('check')
    .summary('verify, and repair, a data directory')
    .description(
      'Reads everything in a data directory and compares it: pages, records, counters, graph files, keys, the change log, receipts; then searches for everybody by their own templates. A server is checked while it works.',
    );
  targetOptions(command);
  command
    .option('--repair', 'mend first what can be mended; the directory must not be open')
    .option('--no-search', 'leave the searches out');
  describe(
    command,
    [
      'harmonid check',
      'harmonid check --data ./data --repair',
      'harmonid check --server localhost:50051 --no-search --json',
    ],
    `Nothing is changed without --repair. A repair writes anew what follows from other records, and moves what cannot stay into the
table "quarantine", bytes and all; graph files that are wrong are renamed to graphs/quarantine-* (they hold faces; an erasure
removes them, and a person's records in quarantine, too). Make a copy of the directory before a repair.
With --json: {"errors","warnings","mended":[FINDING],"findings":[FINDING],"records","templates","files","seconds"}; FINDING is
{"severity","kind","where","message","repair"}. Exit code 1 when there is an error.`,
  );
  return command.action((options: CheckOptions) =>
    run(command, async (terminal) => {
      if (options.repair && options.server !== undefined) {
        throw usageError('--repair works on a directory that nobody has open: name it with --data');
      }
      const report = new Report(terminal, options.json ?? false);
      const startedMs = performance.now();
      const counts = await (options.server === undefined
        ? checkData(options, report, terminal.interrupt)
        : checkServer(options, report, terminal.interrupt));
      report.end(counts, (performance.now() - startedMs) / 1000);
      return report.errors > 0 ? exitCodes.refused : exitCodes.done;
    }),
  );
}

/** Without opening it, which a damaged directory may not bear; opened only when there is no error, to be searched. */
async function checkData(options: CheckOptions, report: Report, signal: AbortSignal): Promise<CheckCounts> {
  const { data: path, repair, search } = options;
  if (!(await isDirectory(path))) {
    throw new HarmonidError('DATA_NOT_FOUND', `there is no data directory at ${path}`, { details: { path } });
  }
  const { checkDirectory, repairDirectory } = await import('../../database.js');
  const question = { path, encryption: encryptionOf(options), signal };
  if (repair) await each(repairDirectory(question), (finding) => report.mended(finding));
  const counts = await each(checkDirectory(question), (finding) => report.found(finding));
  if (report.errors > 0 || !search) return counts;
  const { openDatabase } = await import('../../database.js');
  const database = await openDatabase({ path, embedder: false, readOnly: true, encryption: question.encryption });
  try {
    const searched = database.check({ records: false, signal });
    const { templates } = await each(searched, (finding) => report.found(finding));
    return { ...counts, templates };
  } finally {
    await database.close();
  }
}

async function checkServer(options: CheckOptions, report: Report, signal: AbortSignal): Promise<CheckCounts> {
  return withDatabase(options, { images: false, create: false }, (database) =>
    each(database.check({ searches: options.search, signal }), (finding) => report.found(finding)),
  );
}

async function each<R>(findings: Findings<R>, tell: (finding: Finding) => void): Promise<R> {
  for (;;) {
    const next = await findings.next();
    if (next.done) return next.value;
    tell(next.value);
  }
}

/** Prints findings as they come; with --json all at the end. */
class Report {
  readonly #terminal: Terminal;
  readonly #paint: Paint;
  readonly #json: boolean;
  readonly #found: Finding[] = [];
  readonly #mended: Finding[] = [];

  constructor(terminal: Terminal, json: boolean) {
    this.#terminal = terminal;
    this.#paint = painter(terminal, 'stdout');
    this.#json = json;
  }

  get errors(): number {
    return this.#found.filter(({ severity }) => severity === 'error').length;
  }

  mended(finding: Finding): void {
    this.#mended.push(finding);
    this.#print(this.#paint('green', finding.repair), finding);
  }

  found(finding: Finding): void {
    this.#found.push(finding);
    const { severity, repair } = finding;
    const style = severity === 'error' ? 'red' : 'yellow';
    this.#print(this.#paint(style, severity), finding, repair === 'none' ? '' : ` [--repair: ${repair}]`);
  }

  #print(word: string, { kind, where, message }: Finding, remark = ''): void {
    if (this.#json) return;
    printLine(
      this.#terminal,
      `${word} ${kind} (${printable(where)}): ${printable(message)}${this.#paint('dim', remark)}`,
    );
  }

  end({ records, templates, files }: CheckCounts, seconds: number): void {
    const { errors } = this;
    const warnings = this.#found.length - errors;
    if (this.#json) {
      const about = { records, templates, files, seconds: Number(seconds.toFixed(3)) };
      printJson(this.#terminal, { errors, warnings, mended: this.#mended, findings: this.#found, ...about });
      return;
    }
    const mended = this.#mended.length > 0 ? `${this.#mended.length} mended, ` : '';
    const what = `${counted(records, 'record')} and ${counted(files, 'file')} read, ${counted(templates, 'template')} searched for`;
    const verdict = `${mended}${counted(errors, 'error')}, ${counted(warnings, 'warning')}`;
    printLine(this.#terminal, `${verdict}: ${what} in ${seconds.toFixed(1)} s`);
  }
}
