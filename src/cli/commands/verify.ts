/** `harmonid verify`: is this that person? */
import { Command } from 'commander';
import { withDatabase } from '../connection.js';
import { exitCodes } from '../failure.js';
import {
  decimalNumber,
  describe,
  embedderOptions,
  facesOption,
  galleryOption,
  targetOptions,
  type EmbedderOptions,
  type FaceChoice,
  type GalleryOption,
  type TargetOptions,
} from '../options.js';
import { photoName, readPhoto } from '../photos.js';
import type { Run } from '../run.js';
import { painter, printJson, printLine } from '../terminal.js';
import { decisionText, distanceText, nothing, printable, rateText, table } from '../wording.js';

interface VerifyOptions extends TargetOptions, GalleryOption, EmbedderOptions {
  readonly faces: FaceChoice;
  readonly threshold?: number;
}

export function verifyCommand(run: Run): Command {
  const command = new Command('verify')
    .summary('say whether a photo shows a person')
    .description(
      "Compares the face of a photo with one person's templates; the nearest decides. Exits 0 for a match, 3 for none.",
    )
    .argument('<identity>', 'the person')
    .argument('<photo>', 'the photo; - reads standard input');
  targetOptions(command);
  galleryOption(command);
  facesOption(command, ['one', 'largest'], 'one');
  command.option('--threshold <distance>', "in place of the gallery's", decimalNumber);
  describe(
    command,
    [
      'harmonid verify alice door.jpg',
      'harmonid verify alice door.jpg --faces largest --threshold 0.15 --json',
      'harmonid verify alice door.jpg && ./open-door',
    ],
    'With --json: {"photo","identity","decision","distance","threshold","fmr","template","face",…}.',
  );
  embedderOptions(command);
  return command.action((identity: string, path: string, options: VerifyOptions) =>
    run(command, async (terminal) => {
      const image = await readPhoto(terminal, path);
      const verification = await withDatabase(options, { images: true, create: false }, (database) =>
        database.verify({
          image,
          identity,
          gallery: options.gallery,
          threshold: options.threshold,
          faces: options.faces,
          signal: terminal.interrupt,
        }),
      );
      const { decision, distance, threshold, fmr } = verification;
      if (options.json) printJson(terminal, { photo: photoName(path), ...verification });
      else {
        const paint = painter(terminal, 'stdout');
        const cells = [
          decisionText(paint, decision),
          identity,
          distanceText(distance),
          distanceText(threshold),
          fmr === null ? nothing : rateText(fmr),
          printable(photoName(path)),
        ];
        printLine(terminal, table(paint, ['decision', 'identity', 'distance', 'threshold', 'fmr', 'photo'], [cells]));
      }
      return decision === 'match' ? exitCodes.done : exitCodes.no;
    }),
  );
}
