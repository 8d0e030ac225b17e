/**
 * `harmonid backup`: everything in one file.
 *
 * The file is there when it is whole: it is written beside, synced, read back and verified, and only then gets its name.
 */
import { createReadStream } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Command } from 'commander';
import type { Database } from '../../api.js';
import type { BackupSummary } from '../../database.js';
import { HarmonidError } from '../../errors.js';
import { withDatabase } from '../connection.js';
import { isDirectory } from '../directories.js';
import { exitCodes, usageError } from '../failure.js';
import { describe, targetOptions, type TargetOptions } from '../options.js';
import type { Run } from '../run.js';
import { printJson, printLine, type Terminal } from '../terminal.js';
import { backupText } from '../wording.js';

export function backupCommand(run: Run): Command {
  const command = new Command('backup')
    .summary('write everything to a file, also while a server works')
    .description(
      'Writes all galleries, people and templates to one file, as they are at one moment, also while a server goes on working. The file is verified by reading it back before it gets its name. Graphs are not in it, for they are built again, and neither are model packs.',
    )
    .argument('<file>', 'the file to make, or a folder in which it gets a name by the time');
  targetOptions(command);
  describe(
    command,
    [
      'harmonid backup ./backups',
      'harmonid backup monday.backup --data /var/lib/harmonid',
      'harmonid backup ./backups --server localhost:50051 --json',
    ],
    `A backup is biometric data: faces as vectors, with the names of the people. Keep it like the data directory; it is readable by its
owner only. An existing file is never replaced. \`harmonid restore\` makes a data directory of it.
With --json: {"file","bytes","sha256","at","product","directoryFormat","records":{TABLE:COUNT}}.`,
  );
  return command.action((path: string, options: TargetOptions) =>
    run(command, async (terminal) => {
      await refuseUnwritable(path);
      const { file, summary } = await withDatabase(options, { images: false, create: false }, async (database) => {
        const file = (await isDirectory(path)) ? join(path, nameByTime(new Date())) : path;
        return { file, summary: await writeBackupFile(terminal, database, file) };
      });
      if (options.json) printJson(terminal, { file, ...summary });
      else printLine(terminal, `${file} is whole\n${backupText(summary)}`);
      return exitCodes.done;
    }),
  );
}

/** `harmonid-20261123T223413Z.backup` */
function nameByTime(now: Date): string {
  return `harmonid-${now.toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z.backup`;
}

/** Tells a name that cannot be written before the database is opened. */
async function refuseUnwritable(path: string): Promise<void> {
  if (await isDirectory(path)) return;
  if (!(await isDirectory(dirname(path)))) throw usageError(`no such directory: ${dirname(path)}`);
  await refuseExisting(path);
}

/** @throws DATA_EXISTS */
async function refuseExisting(file: string): Promise<void> {
  const found = await stat(file).catch(() => undefined);
  if (found)
    throw new HarmonidError('DATA_EXISTS', `${file} exists; a backup replaces no file`, { details: { path: file } });
}

async function writeBackupFile(terminal: Terminal, database: Database, file: string): Promise<BackupSummary> {
  await refuseExisting(file);
  const unfinished = join(dirname(file), `${basename(file)}.part`);
  try {
    await rm(unfinished, { force: true });
    await writeSynced(database.backup({ signal: terminal.interrupt }), unfinished);
    const { verifyBackup } = await import('../../database.js');
    const summary = await verifyBackup(createReadStream(unfinished), { signal: terminal.interrupt });
    await rename(unfinished, file);
    await syncFolder(dirname(file));
    return summary;
  } catch (error) {
    await rm(unfinished, { force: true });
    throw isFullDisk(error) ? new HarmonidError('DISK_FULL', `no room for ${unfinished}`, { cause: error }) : error;
  }
}

async function writeSynced(bytes: AsyncIterable<Uint8Array>, file: string): Promise<void> {
  const handle = await open(file, 'wx', 0o600);
  try {
    // Unlike write(), this writes all of a chunk.
    for await (const chunk of bytes) await handle.writeFile(chunk);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function isFullDisk(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
}
