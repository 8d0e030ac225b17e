/** `harmonid checkpoint`: make the next start quick. */
import { Command } from 'commander';
import { withDatabase } from '../connection.js';
import { exitCodes } from '../failure.js';
import { describe, targetOptions, type GalleryOption, type TargetOptions } from '../options.js';
import type { Run } from '../run.js';
import { printJson, printLine } from '../terminal.js';

type CheckpointOptions = TargetOptions & GalleryOption;

export function checkpointCommand(run: Run): Command {
  const command = new Command('checkpoint')
    .summary('write the graphs to disk')
    .description(
      'Writes a checkpoint of the search graphs, so that the next start need not rebuild them. Faces are safe without it.',
    );
  targetOptions(command);
  command.option('-g, --gallery <name>', 'only this gallery (default: all)');
  describe(
    command,
    ['harmonid checkpoint', 'harmonid checkpoint --gallery lobby --server localhost:50051'],
    'With --json: {"checkpoint":"written"}.',
  );
  return command.action((options: CheckpointOptions) =>
    run(command, async (terminal) => {
      await withDatabase(options, { images: false, create: false }, (database) =>
        database.checkpoint({ gallery: options.gallery, signal: terminal.interrupt }),
      );
      if (options.json) printJson(terminal, { checkpoint: 'written' });
      else printLine(terminal, 'checkpoint written');
      return exitCodes.done;
    }),
  );
}
