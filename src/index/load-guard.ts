/**
 * The guard against a crash loop: a graph file that was being loaded when the process died is not tried a third time.
 *
 * Native code that meets a file it cannot bear takes the process with it, and whoever starts it again would come back to the same file. So
 * each attempt leaves a mark beside the file, one byte long, on the disk before native code begins; it goes when the loaded graph
 * has answered its first searches. Two marks that were never taken away are two deaths.
 */
import { open, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { HarmonidError } from '../errors.js';
import { removeFile, syncFolder } from '../files/durable-files.js';

/** Ends the name of the mark that lies beside a graph file. */
export const loadingMark = '.loading';
const deathsMax = 2;

/**
 * Runs `load`, which hands the file to native code and tries what came of it. A load that throws has not killed anybody: its mark goes, too.
 * @throws DATA_CORRUPT when the process died during the last two attempts; the file and its marks are left as they are
 */
export async function guardLoading(
  file: string,
  { readOnly }: { readonly readOnly: boolean },
  load: () => Promise<void>,
): Promise<void> {
  const mark = `${file}${loadingMark}`;
  const deaths = await stat(mark).then(
    ({ size }) => size,
    () => 0,
  );
  if (deaths >= deathsMax) {
    const name = basename(file);
    throw new HarmonidError(
      'DATA_CORRUPT',
      `the process died ${deaths} times while graph file ${name} was loaded; it is not tried again, and stays until the next checkpoint`,
      { details: { file: name, deaths } },
    );
  }
  // Whoever may not write leaves no mark, and heeds those that are there.
  if (!readOnly) await addMark(mark);
  try {
    await load();
  } finally {
    if (!readOnly) await forgetLoading(file);
  }
}

export async function forgetLoading(file: string): Promise<void> {
  await removeFile(`${file}${loadingMark}`);
}

async function addMark(mark: string): Promise<void> {
  const handle = await open(mark, 'a');
  try {
    await handle.write('.');
    await handle.sync();
  } finally {
    await handle.close();
  }
  await syncFolder(dirname(mark));
}
