/** `harmonid audit`: what was done, by whom; and whether the log is as it was written. */
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { checkAuditLog } from '../../audit/audit-check.js';
import { auditActions, type AuditAction, type AuditHead, type AuditRecord } from '../../audit/audit-line.js';
import { csvColumns, csvLine, lastOf, queryAuditLog, type AuditQuestion } from '../../audit/audit-query.js';
import { exitCodes } from '../failure.js';
import { dataDefault, describe, wholeNumber, type OutputOptions } from '../options.js';
import type { Run } from '../run.js';
import { painter, printJson, printLine, type Terminal } from '../terminal.js';
import { nothing, table, timeText } from '../wording.js';

interface LogOptions extends OutputOptions {
  readonly data: string;
  readonly folder?: string;
}

interface VerifyOptions extends LogOptions {
  readonly head?: AuditHead;
}

interface QueryOptions extends LogOptions, Omit<AuditQuestion, 'actions'> {
  readonly action?: readonly AuditAction[];
  readonly last?: number;
}

interface ExportOptions extends QueryOptions {
  readonly format: 'jsonl' | 'csv';
}

/** Where the log of a data directory lies, unless it is told otherwise. */
export function auditFolderOf({
  data,
  folder,
}: {
  readonly data: string;
  readonly folder?: string | undefined;
}): string {
  return folder ?? join(data, 'audit');
}

export function auditCommand(run: Run): Command {
  const command = new Command('audit')
    .summary('look into the audit log, and verify it')
    .description(
      'A server with `--audit` records every enrolment, decision, erasure, export, change of keys or galleries, and step of a rollout, with who asked for it. Each entry is tied to the one before by a hash.',
    );
  command.addHelpText(
    'after',
    '\nExamples:\n  $ harmonid audit verify\n  $ harmonid audit query --identity alice --last 20\n  $ harmonid audit export --since 2026-01-01 --format csv > january.csv',
  );
  for (const make of [verifyLogCommand, queryCommand, exportCommand, headCommand]) command.addCommand(make(run));
  return command;
}

function verifyLogCommand(run: Run): Command {
  const command = new Command('verify')
    .summary('verify the chain')
    .description(
      'Reads the whole log and tells what was changed, taken out, added or moved. That its end was cut off is found with a head that was noted before (`harmonid audit head`).',
    )
    .option('--head <sequence:hash>', 'a head that was noted elsewhere', head);
  logOptions(command);
  describe(
    command,
    ['harmonid audit verify', 'harmonid audit verify --head 1042:9f2c…'],
    'Exits 1 when something does not fit. With --json: {"findings":[{"file","line","message"}],"files","entries","head"}.',
  );
  return command.action((options: VerifyOptions) =>
    run(command, async (terminal) => {
      const check = await checkAuditLog(auditFolderOf(options), options.head);
      const { findings, files, entries, head: end } = check;
      if (options.json) printJson(terminal, check);
      else {
        for (const { file, line, message } of findings)
          printLine(terminal, `${file}${line === null ? '' : `:${line}`}: ${message}`);
        printLine(
          terminal,
          findings.length > 0
            ? `${findings.length} things do not fit, in ${entries} entries of ${files} files`
            : `${entries} entries of ${files} files fit${end ? `; head ${end.sequence}:${end.hash}` : ''}`,
        );
      }
      return findings.length > 0 ? exitCodes.refused : exitCodes.done;
    }),
  );
}

function queryCommand(run: Run): Command {
  const command = new Command('query').summary('show entries').description('Shows entries, oldest first.');
  questionOptions(command).option('--last <n>', 'only the last so many', wholeNumber, 100);
  logOptions(command);
  describe(
    command,
    [
      'harmonid audit query --action erase',
      'harmonid audit query --actor key:lobby-door --since 2026-11-01 --last 1000',
    ],
    'With --json: {"entries":[…]}.',
  );
  return command.action((options: QueryOptions) =>
    run(command, async (terminal) => {
      const entries = await lastOf(queryAuditLog(auditFolderOf(options), questionOf(options)), options.last ?? 100);
      if (options.json) printJson(terminal, { entries });
      else printEntries(terminal, entries);
      return exitCodes.done;
    }),
  );
}

function exportCommand(run: Run): Command {
  const command = new Command('export')
    .summary('write entries as JSON Lines or CSV')
    .description('Writes entries to stdout, oldest first, all that are asked for.')
    .addOption(new Option('--format <name>', 'how').choices(['jsonl', 'csv']).default('jsonl'));
  questionOptions(command);
  logOptions(command);
  describe(command, ['harmonid audit export > audit.jsonl', 'harmonid audit export --format csv --until 2026-02-01']);
  return command.action((options: ExportOptions) =>
    run(command, async (terminal) => {
      if (options.format === 'csv') printLine(terminal, csvColumns.join(','));
      for await (const record of queryAuditLog(auditFolderOf(options), questionOf(options)))
        printLine(terminal, options.format === 'csv' ? csvLine(record) : JSON.stringify(record));
      return exitCodes.done;
    }),
  );
}

function headCommand(run: Run): Command {
  const command = new Command('head')
    .summary('print where the log ends, to be noted elsewhere')
    .description(
      'Prints number and hash of the last entry. Whoever notes them where the server cannot write can tell later that nothing before was taken out.',
    );
  logOptions(command);
  describe(command, ['harmonid audit head >> /mnt/worm/audit-heads'], 'With --json: {"head"}.');
  return command.action((options: LogOptions) =>
    run(command, async (terminal) => {
      const { head: end } = await checkAuditLog(auditFolderOf(options));
      if (options.json) printJson(terminal, { head: end });
      else printLine(terminal, end ? `${end.sequence}:${end.hash}` : nothing);
      return exitCodes.done;
    }),
  );
}

function logOptions(command: Command): void {
  command
    .option('-d, --data <dir>', 'the data directory of the server', dataDefault)
    .option('--folder <dir>', 'the log (default: DATA/audit)');
}

function questionOptions(command: Command): Command {
  return command
    .option('--since <time>', 'from then on, as 2026-11-01 or 2026-11-01T12:00:00Z', time)
    .option('--until <time>', 'before then', time)
    .option('--actor <name>', 'who asked: key:NAME, cert:NAME, local:USER, anonymous')
    .addOption(new Option('--action <name...>', 'what was asked').choices(auditActions))
    .option('-g, --gallery <name>', 'of one gallery')
    .option('--identity <id>', 'about one person, or in which they were the nearest')
    .option('--outcome <code>', 'OK, begun, or the code of an error');
}

function questionOf({ since, until, actor, action, gallery, identity, outcome }: QueryOptions): AuditQuestion {
  return { since, until, actor, actions: action, gallery, identity, outcome };
}

function printEntries(terminal: Terminal, entries: readonly AuditRecord[]): void {
  if (entries.length === 0) {
    printLine(terminal, 'no entries');
    return;
  }
  const rows = entries.map(({ sequence, at, actor, action, gallery, identity, outcome, facts }) => [
    String(sequence),
    timeText(at),
    actor,
    action,
    gallery ?? nothing,
    identity ?? nothing,
    outcome,
    factsText(facts),
  ]);
  printLine(
    terminal,
    table(
      painter(terminal, 'stdout'),
      ['entry', 'time', 'actor', 'action', 'gallery', 'identity', 'outcome', 'facts'],
      rows,
    ),
  );
}

function factsText(facts: AuditRecord['facts']): string {
  return Object.entries(facts)
    .map(
      ([name, value]) =>
        `${name}=${typeof value === 'number' ? Number(value.toPrecision(4)) : typeof value === 'string' ? value : JSON.stringify(value)}`,
    )
    .join(' ');
}

function time(value: string): Date {
  const at = new Date(value);
  if (Number.isNaN(at.getTime()))
    throw new InvalidArgumentError('A time is wanted, as 2026-11-01 or 2026-11-01T12:00:00Z.');
  return at;
}

function head(value: string): AuditHead {
  const [, sequence, hash] = /^(\d+):([0-9a-f]{64})$/.exec(value) ?? [];
  if (sequence === undefined || hash === undefined)
    throw new InvalidArgumentError('SEQUENCE:HASH is wanted, as `harmonid audit head` prints it.');
  return { sequence: Number(sequence), hash };
}
