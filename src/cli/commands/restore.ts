/** `harmonid restore`: a data directory made of a backup. */
import { createReadStream } from 'node:fs';
import { Command } from 'commander';
import { exitCodes } from '../failure.js';
import { dataDefault, describe, type OutputOptions } from '../options.js';
import { checkPhotos } from '../photos.js';
import type { Run } from '../run.js';
import { printJson, printLine } from '../terminal.js';
import { backupText } from '../wording.js';

interface RestoreOptions extends OutputOptions {
  readonly data: string;
  readonly verifyOnly?: boolean;
  readonly keys?: string;
}

export function restoreCommand(run: Run): Command {
  const command = new Command('restore')
    .summary('make a data directory of a backup')
    .description(
      'Makes a data directory of a file that `harmonid backup` wrote. Every byte is verified before it is used; a damaged backup is refused and leaves nothing behind. Graphs are built again in the background when the directory is opened.',
    )
    .argument('<file>', 'the backup; - reads standard input')
    .option('-d, --data <dir>', 'the data directory to make; it is not there yet, or an empty folder', dataDefault)
    .option('--keys <folder>', 'of an encrypted directory: the copy of its `keys` folder, which is in no backup')
    .option('--verify-only', 'read the backup from end to end and say what is in it; nothing is written');
  describe(
    command,
    [
      'harmonid restore monday.backup --data ./restored',
      'harmonid restore monday.backup --verify-only',
      'ssh store cat monday.backup | harmonid restore - --data /var/lib/harmonid/data',
    ],
    `A directory in use is never replaced: restore beside it, look at it, then start the server with the new one. A directory of an older
version is upgraded when it is opened. The new directory is readable by its owner only, unless the empty folder said otherwise.
With --json: {"data"|null,"bytes","sha256","at","product","directoryFormat","records":{TABLE:COUNT}}.`,
  );
  return command.action((file: string, options: RestoreOptions) =>
    run(command, async (terminal) => {
      await checkPhotos([file]);
      const { restoreDatabase, verifyBackup } = await import('../../database.js');
      const from: AsyncIterable<Buffer> = file === '-' ? terminal.stdin : createReadStream(file);
      const signal = terminal.interrupt;
      const summary = options.verifyOnly
        ? await verifyBackup(from, { signal })
        : await restoreDatabase({ path: options.data, from, keys: options.keys, signal });
      const data = options.verifyOnly ? null : options.data;
      if (options.json) printJson(terminal, { data, ...summary });
      else
        printLine(terminal, `${data === null ? 'the backup is whole' : `restored to ${data}`}\n${backupText(summary)}`);
      return exitCodes.done;
    }),
  );
}
