/** `harmonid keys`: who may call a server, and what each may do. */
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { changeAccessFile, readAccessFile } from '../../access/access-file.js';
import { formatAccessList, parseAccessList, whyClosed, type AccessEntry } from '../../access/access-list.js';
import { makeApiKey } from '../../access/api-key.js';
import { permissionNames, permissions, roleNames, roles, type Permission, type Role } from '../../access/grant.js';
import { addEntry, revokeEntry, type EntryDraft } from '../../access/key-changes.js';
import { exitCodes, usageError } from '../failure.js';
import { collect, dataDefault, describe, type OutputOptions } from '../options.js';
import type { Run } from '../run.js';
import { note, painter, printJson, printLine, type Terminal } from '../terminal.js';
import { listText, nothing, table, timeText } from '../wording.js';

interface FileOptions extends OutputOptions {
  readonly data: string;
  readonly file?: string;
}

interface AddOptions extends FileOptions {
  readonly role?: Role;
  readonly allow?: readonly Permission[];
  readonly gallery?: readonly string[];
  readonly certificate?: string;
  readonly expires?: number;
  readonly rate?: number;
}

interface ListOptions extends FileOptions {
  readonly all?: boolean;
}

const dayMs = 24 * 60 * 60 * 1000;

/** Where the list of a data directory lies, unless it is told otherwise. */
export function accessFileOf({ data, file }: { readonly data: string; readonly file?: string | undefined }): string {
  return file ?? join(data, 'access.json');
}

export function keysCommand(run: Run): Command {
  const command = new Command('keys')
    .summary('say who may call a server')
    .description(
      'Keys and client certificates, and what each may do. As soon as there is a list, a server that serves the directory lets nobody in who is not on it. A running server follows the list within a second or two; what a revoked key has open is ended.',
    );
  command.addHelpText(
    'after',
    `
Permissions:
${permissionNames.map((name) => `  ${name.padEnd(9)} ${permissions[name]}`).join('\n')}

Roles:
${roleNames.map((name) => `  ${name.padEnd(9)} ${roles[name].join(', ')}`).join('\n')}

Examples:
  $ harmonid keys add lobby-door --role door --gallery lobby
  $ harmonid keys list
  $ harmonid keys revoke lobby-door`,
  );
  for (const make of [addCommand, listKeysCommand, revokeCommand]) command.addCommand(make(run));
  return command;
}

function addCommand(run: Run): Command {
  const command = new Command('add')
    .summary('let somebody in')
    .description(
      'Makes a key and prints it, once: only its digest is kept. With --certificate it lets a client certificate in instead.',
    )
    .argument('<name>', 'what logs and the audit call it')
    .addOption(new Option('--role <name>', 'a set of permissions').choices(roleNames))
    .addOption(
      new Option('--allow <permission...>', `one or more of ${permissionNames.join(', ')}`).argParser(
        collectPermission,
      ),
    )
    .option('-g, --gallery <name>', 'a gallery, or a pattern such as "site-*"; may be repeated (default: all)', collect)
    .option(
      '--certificate <subject>',
      'the common name of a client certificate, or one of its alternative names: DNS:…, URI:…',
    )
    .option('--expires <days>', 'for how long', positive)
    .option('--rate <n>', 'most requests a second', positive);
  fileOptions(command);
  describe(
    command,
    [
      'harmonid keys add lobby-door --role door --gallery lobby --rate 20',
      '(umask 077; harmonid keys add hr --role registrar --expires 365 > hr.key)',
      'harmonid keys add gate-7 --certificate DNS:gate-7.example --role door',
    ],
    'The key alone goes to stdout. With --json: {"key","entry"}; "key" is null for a certificate.',
  );
  return command.action((name: string, options: AddOptions) =>
    run(command, async (terminal) => {
      const granted = [...new Set([...(options.role ? roles[options.role] : []), ...(options.allow ?? [])])];
      if (granted.length === 0) throw usageError('--role or --allow says what is permitted');
      const key = options.certificate === undefined ? makeApiKey() : null;
      const now = new Date();
      const draft: EntryDraft = {
        name,
        permissions: granted,
        galleries: options.gallery ?? ['*'],
        expiresAt: options.expires === undefined ? null : new Date(now.getTime() + options.expires * dayMs),
        requestsPerSecondMax: options.rate ?? null,
        by: key
          ? { kind: 'key', id: key.id, digest: key.digest }
          : { kind: 'certificate', subject: options.certificate ?? '' },
      };
      const file = accessFileOf(options);
      let isFirst = false;
      await changeAccessFile(file, (list) => {
        isFirst = list.length === 0;
        // Read back as a server will: what is written opens, or nothing is.
        return parseAccessList(formatAccessList(addEntry(list, draft, now)), file);
      });
      if (options.json)
        printJson(terminal, {
          key: key?.text ?? null,
          entry: shown({ ...draft.by, ...draft, createdAt: now, revokedAt: null }, now),
        });
      else if (key) printLine(terminal, key.text);
      if (key && !options.json) note(terminal, `This is the only time that the key of "${name}" is shown.`);
      if (isFirst)
        note(
          terminal,
          `${file} is new: a server of this directory needs a restart to take it, and lets in nobody else from then on.`,
        );
      return exitCodes.done;
    }),
  );
}

function listKeysCommand(run: Run): Command {
  const command = new Command('list')
    .summary('show who may come in')
    .description('Shows who may come in, and what is permitted to each.')
    .option('--all', 'also who was revoked or has expired');
  fileOptions(command);
  describe(command, ['harmonid keys list', 'harmonid keys list --all --json'], 'With --json: {"file","entries":[…]}.');
  return command.action((options: ListOptions) =>
    run(command, async (terminal) => {
      const file = accessFileOf(options);
      const now = new Date();
      const list = (await readAccessFile(file)) ?? [];
      const wanted = options.all ? list : list.filter((entry) => whyClosed(entry, now) === null);
      if (options.json) printJson(terminal, { file, entries: wanted.map((entry) => shown(entry, now)) });
      else printList(terminal, wanted, now);
      return exitCodes.done;
    }),
  );
}

function revokeCommand(run: Run): Command {
  const command = new Command('revoke')
    .summary('let somebody in no longer')
    .description(
      'Whoever is revoked is let in no longer, and what is open is ended. The entry stays in the list, with its time.',
    )
    .argument('<name>', 'the name, or the id of the key');
  fileOptions(command);
  describe(command, ['harmonid keys revoke lobby-door'], 'With --json: {"revoked"}.');
  return command.action((name: string, options: FileOptions) =>
    run(command, async (terminal) => {
      await changeAccessFile(accessFileOf(options), (list) => revokeEntry(list, name, new Date()));
      if (options.json) printJson(terminal, { revoked: name });
      else printLine(terminal, `"${name}" is let in no longer`);
      return exitCodes.done;
    }),
  );
}

function fileOptions(command: Command): void {
  command
    .option('-d, --data <dir>', 'the data directory of the server', dataDefault)
    .option('--file <file>', 'the list (default: DATA/access.json)');
}

function printList(terminal: Terminal, entries: readonly AccessEntry[], now: Date): void {
  if (entries.length === 0) {
    printLine(terminal, 'nobody');
    return;
  }
  const rows = entries.map((entry) => [
    entry.name,
    entry.kind === 'key' ? entry.id : entry.subject,
    listText(entry.permissions),
    listText(entry.galleries),
    entry.requestsPerSecondMax === null ? nothing : `${entry.requestsPerSecondMax}/s`,
    whyClosed(entry, now) ?? (entry.expiresAt ? `until ${timeText(entry.expiresAt)}` : 'open'),
  ]);
  printLine(
    terminal,
    table(
      painter(terminal, 'stdout'),
      ['name', 'key or certificate', 'permissions', 'galleries', 'rate', 'state'],
      rows,
    ),
  );
}

/** Without the digest: nobody who reads a list needs it. */
function shown(entry: AccessEntry, now: Date): object {
  const { permissions: granted, galleries, createdAt, expiresAt, revokedAt, requestsPerSecondMax, name, kind } = entry;
  return {
    name,
    kind,
    ...(entry.kind === 'key' ? { id: entry.id } : { subject: entry.subject }),
    permissions: granted,
    galleries,
    requestsPerSecondMax,
    createdAt,
    expiresAt,
    revokedAt,
    open: whyClosed(entry, now) === null,
  };
}

function collectPermission(value: string, previous: readonly Permission[] | undefined): readonly Permission[] {
  const names = value.split(',').map((text) => {
    const known = permissionNames.find((name) => name === text.trim());
    if (!known) throw new InvalidArgumentError(`Permissions are ${permissionNames.join(', ')}.`);
    return known;
  });
  return [...(previous ?? []), ...names];
}

function positive(value: string): number {
  const number = Number(value);
  if (value.trim() === '' || !(number > 0 && Number.isFinite(number)))
    throw new InvalidArgumentError('A number above 0 is wanted.');
  return number;
}
