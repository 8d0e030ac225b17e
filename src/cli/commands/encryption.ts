/** `harmonid encryption`: the master key of an encrypted data directory. */
import { randomBytes } from 'node:crypto';
import { Command, Option } from 'commander';
import { encryptionOf } from '../connection.js';
import { exitCodes, usageError } from '../failure.js';
import { dataDefault, describe, keyOptions, type KeyOptions, type OutputOptions } from '../options.js';
import type { Run } from '../run.js';
import { printJson, printLine } from '../terminal.js';

interface RotateOptions extends OutputOptions, KeyOptions {
  readonly data: string;
  readonly newKeyFile: string;
}

export function encryptionCommand(run: Run): Command {
  const command = new Command('encryption')
    .summary('make and change the master key of encrypted data')
    .description(
      'A data directory is encrypted when it is made with a key: give --key-file (or HARMONID_KEY_FILE, or the key itself in HARMONID_KEY) to the command that makes it, and to every one after.',
    );
  return command.addCommand(newKeyCommand(run)).addCommand(rotateCommand(run));
}

function newKeyCommand(run: Run): Command {
  const command = new Command('new-key')
    .summary('print a new master key')
    .description('Prints a random key: 256 bits in hexadecimal. Whoever loses it loses the data.');
  describe(
    command,
    ['(umask 077; harmonid encryption new-key > master.key)', 'harmonid serve --key-file master.key'],
    'With --json: {"key"}.',
  );
  return command.action((options: OutputOptions) =>
    run(command, async (terminal) => {
      const key = randomBytes(32).toString('hex');
      if (options.json) printJson(terminal, { key });
      else printLine(terminal, key);
      return exitCodes.done;
    }),
  );
}

function rotateCommand(run: Run): Command {
  const command = new Command('rotate')
    .summary('change the master key')
    .description(
      'Seals the keys of a data directory with another master key. Takes no time and rewrites no data; a server may have the directory open, and needs the new key at its next start. The old key no longer opens the directory.',
    )
    .option('-d, --data <dir>', 'the data directory', dataDefault)
    .addOption(new Option('--new-key-file <file>', 'the master key from now on').makeOptionMandatory());
  keyOptions(command);
  describe(
    command,
    ['harmonid encryption rotate --key-file master.key --new-key-file next.key'],
    'With --json: {"keyId","keyIdBefore"}.',
  );
  return command.action((options: RotateOptions) =>
    run(command, async (terminal) => {
      const from = encryptionOf(options);
      const to = encryptionOf({ keyFile: options.newKeyFile });
      if (!from || !to) throw usageError('--key-file names the key that the directory has now');
      const { rotateMasterKey } = await import('../../database.js');
      const rotated = await rotateMasterKey({ path: options.data, from, to });
      if (options.json) printJson(terminal, rotated);
      else printLine(terminal, `the master key is now ${rotated.keyId}, it was ${rotated.keyIdBefore}`);
      return exitCodes.done;
    }),
  );
}
