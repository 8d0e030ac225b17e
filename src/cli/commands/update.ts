/** `harmonid update`: change what is known of a person. */
import { Command } from 'commander';
import { withDatabase } from '../connection.js';
import { exitCodes, usageError } from '../failure.js';
import {
  collectAttribute,
  describe,
  galleryOption,
  groupOption,
  targetOptions,
  wholeNumber,
  type GalleryOption,
  type TargetOptions,
} from '../options.js';
import { printPerson } from '../person.js';
import type { Run } from '../run.js';

interface UpdateOptions extends TargetOptions, GalleryOption {
  readonly label?: string;
  /** False: `--no-group` takes the person out of every group. */
  readonly group?: readonly string[] | false;
  readonly attribute?: Readonly<Record<string, string>> | false;
  readonly ifVersion?: number;
}

export function updateCommand(run: Run): Command {
  const command = new Command('update')
    .summary("change a person's label, groups or attributes")
    .description("Changes a person's label, groups or attributes; what is not named stays as it is.")
    .argument('<identity>', 'the person');
  targetOptions(command);
  galleryOption(command);
  command.option('--label <text>', 'a name for people to read; "" removes it');
  groupOption(command, 'put the person into this group (replaces all groups)');
  command
    .option('--no-group', 'take the person out of all groups')
    .option(
      '--attribute <key=value>',
      'something to remember (replaces all attributes); may be repeated',
      collectAttribute,
    )
    .option('--no-attribute', 'forget all attributes')
    .option('--if-version <n>', 'refuse when the person was changed since this version', wholeNumber);
  describe(
    command,
    [
      'harmonid update alice --label "Alice Example"',
      'harmonid update alice --group staff --group night',
      'harmonid update alice --no-group --if-version 7',
    ],
    'With --json: the person as `harmonid show --json` prints it.',
  );
  return command.action((identity: string, options: UpdateOptions) =>
    run(command, async (terminal) => {
      const { label, group, attribute } = options;
      if (label === undefined && group === undefined && attribute === undefined) {
        throw usageError('nothing to change: give at least one of --label, --group, --attribute');
      }
      const person = await withDatabase(options, { images: false, create: false }, (database) =>
        database.updateIdentity({
          gallery: options.gallery,
          identity,
          label,
          groups: group === false ? [] : group,
          attributes: attribute === false ? {} : attribute,
          expectedVersion: options.ifVersion,
          signal: terminal.interrupt,
        }),
      );
      printPerson(terminal, person, options.json ?? false);
      return exitCodes.done;
    }),
  );
}
