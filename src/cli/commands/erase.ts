/** `harmonid erase`: forget a person. */
import { Command } from 'commander';
import { defaultGallery } from '../../api.js';
import { confirm } from '../confirmation.js';
import { withDatabase } from '../connection.js';
import { exitCodes } from '../failure.js';
import { describe, galleryOption, targetOptions, type GalleryOption, type TargetOptions } from '../options.js';
import type { Run } from '../run.js';
import { printJson, printLine } from '../terminal.js';
import { counted } from '../wording.js';

interface EraseOptions extends TargetOptions, GalleryOption {
  readonly yes?: boolean;
}

export function eraseCommand(run: Run): Command {
  const command = new Command('erase')
    .summary('erase a person')
    .description(
      'Removes a person with all templates; gone from every answer when it returns. It cannot be undone, and repeating it is harmless.',
    )
    .argument('<identity>', 'the person');
  targetOptions(command);
  galleryOption(command);
  command.option('-y, --yes', 'do not ask');
  describe(
    command,
    ['harmonid erase alice', 'harmonid erase alice --yes --json'],
    'With --json: {"identity","existed","templatesErased","sequence"}.',
  );
  return command.action((identity: string, options: EraseOptions) =>
    run(command, async (terminal) => {
      const gallery = options.gallery ?? defaultGallery;
      if (!(await confirm(terminal, `erase ${identity} from gallery ${gallery} for good?`, options.yes ?? false)))
        return exitCodes.no;
      const answer = await withDatabase(options, { images: false, create: false }, (database) =>
        database.eraseIdentity({ gallery, identity, signal: terminal.interrupt }),
      );
      if (options.json) printJson(terminal, { identity, ...answer });
      else if (answer.existed)
        printLine(terminal, `${identity} is erased, with ${counted(answer.templatesErased, 'template')}`);
      else printLine(terminal, `there is no ${identity} in gallery ${gallery}; nothing to erase`);
      return exitCodes.done;
    }),
  );
}
