/** `harmonid erase`: forget a person. */
import { Command } from 'commander';
import { defaultGallery, type EraseAnswer } from '../../api.js';
import { confirm } from '../confirmation.js';
import { withDatabase } from '../connection.js';
import { exitCodes } from '../failure.js';
import { describe, galleryOption, targetOptions, type GalleryOption, type TargetOptions } from '../options.js';
import type { Run } from '../run.js';
import { printJson, printLine } from '../terminal.js';
import { counted } from '../wording.js';

interface EraseOptions extends TargetOptions, GalleryOption {
  readonly yes?: boolean;
  readonly prove?: boolean;
}

export function eraseCommand(run: Run): Command {
  const command = new Command('erase')
    .summary('erase a person')
    .description(
      'Removes a person with all templates; gone from every answer and from the files when it returns. It cannot be undone, and repeating it is harmless. An import does not bring the person back; `harmonid enroll` does.',
    )
    .argument('<identity>', 'the person');
  targetOptions(command);
  galleryOption(command);
  command.option('-y, --yes', 'do not ask');
  command.option('--prove', 'search all files of the data directory for the vectors afterwards');
  describe(
    command,
    ['harmonid erase alice', 'harmonid erase alice --prove', 'harmonid erase alice --yes --json'],
    `With --json: {"identity","existed","templatesErased","sequence","receipt":{"number","at","identityDigest","templateCount","sequence",
"previous","digest"},"overwritten","proof":{"filesScanned","bytesScanned","remainsFound","keyDestroyed"}}. Keep the receipt; it names
nobody. Exit code 1 when --prove finds remains.`,
  );
  return command.action((identity: string, options: EraseOptions) =>
    run(command, async (terminal) => {
      const gallery = options.gallery ?? defaultGallery;
      if (!(await confirm(terminal, `erase ${identity} from gallery ${gallery} for good?`, options.yes ?? false)))
        return exitCodes.no;
      const answer = await withDatabase(options, { images: false, create: false }, (database) =>
        database.eraseIdentity({ gallery, identity, prove: options.prove, signal: terminal.interrupt }),
      );
      if (options.json) printJson(terminal, { identity, ...answer });
      else for (const line of linesOf(answer, identity, gallery)) printLine(terminal, line);
      return answer.proof && answer.proof.remainsFound > 0 ? exitCodes.refused : exitCodes.done;
    }),
  );
}

function linesOf(answer: EraseAnswer, identity: string, gallery: string): readonly string[] {
  const { existed, templatesErased, receipt, overwritten, proof } = answer;
  if (!existed) {
    const before = receipt ? `; erased before, with receipt ${receipt.number} of ${receipt.at.toISOString()}` : '';
    return [`there is no ${identity} in gallery ${gallery}; nothing to erase${before}`];
  }
  const lines = [`${identity} is erased, with ${counted(templatesErased, 'template')}`];
  if (receipt) lines.push(`receipt ${receipt.number}: ${receipt.digest}`);
  if (!overwritten) {
    lines.push('a backup or an export still reads the old data; its bytes are overwritten when that has ended');
  }
  if (proof) {
    const { filesScanned, bytesScanned, remainsFound, keyDestroyed } = proof;
    const scanned = `${counted(filesScanned, 'file')}, ${(bytesScanned / 1e6).toFixed(1)} MB`;
    lines.push(
      remainsFound === 0
        ? `proof: no 32 bytes of a vector in ${scanned}${keyDestroyed ? '; the key is destroyed' : ''}`
        : `NOT PROVED: ${counted(remainsFound, 'place')} in ${scanned}; is the same face enrolled elsewhere?`,
    );
  }
  return lines;
}
