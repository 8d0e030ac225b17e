/** What `harmonid evaluate` has in common wherever photos are those of people: a folder for each of them. */
import type { Command } from 'commander';
import type { LabelledPhotos } from '../evaluate/person-photos.js';
import {
  alignedOption,
  dataOption,
  faceOption,
  fileOptions,
  kindOf,
  type Alignment,
  type EvaluationOptions,
} from './evaluation.js';
import { usageError } from './failure.js';
import { listPeople } from './photos.js';
import type { Terminal } from './terminal.js';

export interface PeopleEvaluationOptions extends EvaluationOptions {
  readonly images: string;
  readonly aligned?: Alignment;
}

export function peopleOptions(command: Command): Command {
  dataOption(command).requiredOption('--images <dir>', 'photos: one folder a person');
  alignedOption(command);
  faceOption(command);
  return fileOptions(command);
}

/** What the options say, read and checked. @throws a usage error for a folder without people */
export async function readPeople(
  terminal: Terminal,
  { images, aligned, face, cache }: Omit<PeopleEvaluationOptions, 'html'>,
): Promise<LabelledPhotos> {
  const { photos } = await listPeople(images);
  if (photos.length === 0) throw usageError(`there are no photos in folders of people in ${images}`);
  return {
    photos: photos.map(({ identity, path }) => ({ person: identity, path })),
    kind: kindOf(aligned),
    faceChoice: face,
    cachePath: cache,
    signal: terminal.interrupt,
  };
}
