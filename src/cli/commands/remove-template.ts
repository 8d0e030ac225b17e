/** `harmonid remove-template`: take one photo back. */
import { Command } from 'commander';
import { withDatabase } from '../connection.js';
import { exitCodes } from '../failure.js';
import {
  describe,
  galleryOption,
  targetOptions,
  wholeNumber,
  type GalleryOption,
  type TargetOptions,
} from '../options.js';
import { printPerson } from '../person.js';
import type { Run } from '../run.js';

type RemoveTemplateOptions = TargetOptions & GalleryOption;

export function removeTemplateCommand(run: Run): Command {
  const command = new Command('remove-template')
    .summary('remove one template of a person')
    .description('Removes one template of a person. The last one may go, too: the person stays and matches nothing.')
    .argument('<identity>', 'the person')
    .argument('<template>', 'number of the template, see `harmonid show`', wholeNumber);
  targetOptions(command);
  galleryOption(command);
  describe(
    command,
    ['harmonid remove-template alice 3'],
    'With --json: the person as `harmonid show --json` prints it.',
  );
  return command.action((identity: string, template: number, options: RemoveTemplateOptions) =>
    run(command, async (terminal) => {
      const person = await withDatabase(options, { images: false, create: false }, (database) =>
        database.removeTemplate({ gallery: options.gallery, identity, template, signal: terminal.interrupt }),
      );
      printPerson(terminal, person, options.json ?? false);
      return exitCodes.done;
    }),
  );
}
