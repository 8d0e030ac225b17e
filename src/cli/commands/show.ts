/** `harmonid show`: what is known of a person? */
import { Command } from 'commander';
import { withDatabase } from '../connection.js';
import { exitCodes } from '../failure.js';
import { describe, galleryOption, targetOptions, type GalleryOption, type TargetOptions } from '../options.js';
import { printPerson } from '../person.js';
import type { Run } from '../run.js';

type ShowOptions = TargetOptions & GalleryOption;

export function showCommand(run: Run): Command {
  const command = new Command('show')
    .summary('show a person with the templates')
    .description(
      'Prints what is known of a person: label, groups, attributes, and the templates with their provenance.',
    )
    .argument('<identity>', 'the person');
  targetOptions(command);
  galleryOption(command);
  describe(
    command,
    ['harmonid show alice', 'harmonid show alice --gallery lobby --json'],
    'With --json: {"gallery","identity","label","groups","attributes","templates":[{"template","space","origin","quality","imageDigest","enrolledAt"}],"version","createdAt","updatedAt"}.',
  );
  return command.action((identity: string, options: ShowOptions) =>
    run(command, async (terminal) => {
      const person = await withDatabase(options, { images: false, create: false }, (database) =>
        database.getIdentity({ gallery: options.gallery, identity, signal: terminal.interrupt }),
      );
      printPerson(terminal, person, options.json ?? false);
      return exitCodes.done;
    }),
  );
}
