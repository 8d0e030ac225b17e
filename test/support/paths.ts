/** Where tests find the repository, the sample photos, and the shared evaluation data. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder that holds package.json, wherever the compiled tests lie. */
export const repositoryPath = findUpwards(dirname(fileURLToPath(import.meta.url)));

function findUpwards(folder: string): string {
  if (existsSync(join(folder, 'package.json')) && existsSync(join(folder, 'src'))) return folder;
  const parent = dirname(folder);
  if (parent === folder) throw new Error('no package.json above the tests');
  return findUpwards(parent);
}

/** Research data sets for evaluation only; absent on most machines. */
export const sharedPath = join(repositoryPath, '..', 'shared');

/** The six group photos that come with the default model's dependency. */
export function samplePhotoPath(number: 1 | 2 | 3 | 4 | 5 | 6): string {
  const manifest = createRequire(import.meta.url).resolve('@vladmandic/face-api/package.json');
  return join(dirname(manifest), 'demo', `sample${number}.jpg`);
}
