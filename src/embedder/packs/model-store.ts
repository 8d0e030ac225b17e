/**
 * A directory of model packs, one folder a pack, named by its id.
 *
 * Promises: a folder of the store is either a whole pack or not there. Packs are copied or built into a hidden temporary folder,
 * verified, and renamed into place, so neither a crash nor another process at the same work leaves half a pack. The default
 * pack is always there: it is built on first use, and again when it is missing, damaged or of another build. A damaged pack that
 * somebody added is refused and left as it is.
 */
import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { HarmonidError, isHarmonidError } from '../../errors.js';
import {
  defaultPackId,
  loadModelPack,
  manifestFileName,
  ownFiles,
  packIdPattern,
  readManifest,
  verifyPack,
  type ModelPack,
  type PackManifest,
} from '../model-pack.js';
import { buildDefaultPack, defaultPackBuild } from './default-pack.js';

/** A pack as it stands in the store. */
export interface PackListing {
  readonly id: string;
  readonly folder: string;
  /** Null when the pack cannot be used; `problem` says why. */
  readonly manifest: PackManifest | null;
  readonly problem: string | null;
}

/** Temporary folders begin with this; no id does. */
const temporaryPrefix = '.tmp-';
/** A temporary folder of this age was left behind by a process that was killed. */
const abandonedAfterMs = 60 * 60 * 1000;
/** Another process may replace the default pack between our steps; more often than this it is not chance. */
const installAttemptsMax = 5;

/** A class because the packs that are open share one build of the default pack. */
export class ModelStore {
  readonly folder: string;
  #default: Promise<ModelPack> | undefined;

  constructor(folder: string) {
    this.folder = folder;
  }

  /**
   * The pack with that id, every file verified. Builds the default pack when it has to.
   * @throws MODEL_NOT_FOUND, MODEL_INVALID, DATA_READ_ONLY, DISK_FULL
   */
  async open(id: string = defaultPackId): Promise<ModelPack> {
    if (id === defaultPackId) return this.#openDefault();
    const folder = this.#folderOf(id);
    const manifest = await readManifest(folder).catch((error: unknown) => {
      if (!isHarmonidError(error) || error.code !== 'MODEL_NOT_FOUND') throw error;
      throw new HarmonidError('MODEL_NOT_FOUND', `there is no model pack "${id}" in ${this.folder}`, {
        details: { id, folder: this.folder },
        cause: error,
      });
    });
    if (manifest.id !== id) {
      throw new HarmonidError(
        'MODEL_INVALID',
        `the folder ${folder} holds the model pack "${manifest.id}", not "${id}"`,
      );
    }
    return loadModelPack(folder, () => this.#openDefault());
  }

  /** All packs, ordered by id; those that cannot be used with the reason. Reads manifests, verifies no files. */
  async list(): Promise<readonly PackListing[]> {
    await this.#openDefault();
    const entries = await readdir(this.folder, { withFileTypes: true });
    const ids = entries
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .map((entry) => entry.name);
    return Promise.all(
      ids.sort().map(async (id) => {
        const folder = join(this.folder, id);
        try {
          return { id, folder, manifest: await readManifest(folder), problem: null };
        } catch (error) {
          return { id, folder, manifest: null, problem: error instanceof Error ? error.message : String(error) };
        }
      }),
    );
  }

  /**
   * Copies the pack in the folder `source` into the store after verifying it. Adding the same pack again changes nothing.
   * @throws MODEL_NOT_FOUND, MODEL_INVALID (also when the store holds another pack of that id)
   */
  async add(source: string): Promise<ModelPack> {
    const { id } = await verifyPack(source);
    if (id === defaultPackId) {
      throw new HarmonidError('MODEL_INVALID', `"${id}" is the default pack's id; a pack that is added needs its own`);
    }
    const temporary = await this.#temporaryFolder();
    try {
      const manifest = await readManifest(source);
      await copyFile(join(source, manifestFileName), join(temporary, manifestFileName));
      for (const { file } of ownFiles(manifest)) await copyFile(join(source, file), join(temporary, file));
      // What counts is what was copied, should somebody have changed the source meanwhile.
      const copied = await verifyPack(temporary);
      const target = this.#folderOf(copied.id);
      if (!(await renameIfFree(temporary, target))) {
        const present = await readManifest(target);
        if (JSON.stringify(present) !== JSON.stringify(copied)) {
          throw new HarmonidError(
            'MODEL_INVALID',
            `${target} holds another model pack with the id "${copied.id}"; remove it first, or give yours another id`,
          );
        }
      }
      return await this.open(copied.id);
    } catch (error) {
      throw storageError(error, this.folder);
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
  }

  #folderOf(id: string): string {
    if (!packIdPattern.test(id)) {
      throw new HarmonidError('INVALID_IDENTIFIER', `"${id.slice(0, 64)}" cannot be the id of a model pack`);
    }
    return join(this.folder, id);
  }

  async #openDefault(): Promise<ModelPack> {
    // Callers at the same time share one build; nothing is remembered after it, so that damage is noticed at the next opening.
    this.#default ??= this.#findOrBuildDefault().finally(() => {
      this.#default = undefined;
    });
    return this.#default;
  }

  async #findOrBuildDefault(): Promise<ModelPack> {
    const target = this.#folderOf(defaultPackId);
    const found = await usableDefault(target);
    if (found) return found;
    const temporary = await this.#temporaryFolder();
    try {
      await buildDefaultPack(temporary);
      for (let attempt = 0; attempt < installAttemptsMax; attempt++) {
        if (await renameIfFree(temporary, target)) return await loadModelPack(target);
        // Another process was first, or what is there is damaged: then it goes out of the way in one step.
        const present = await usableDefault(target);
        if (present) return present;
        const damaged = `${temporary}-damaged`;
        await rename(target, damaged).catch(ignoreMissing);
        await rm(damaged, { recursive: true, force: true });
      }
      throw new HarmonidError('MODEL_INVALID', `the default pack cannot be put in place at ${target}`);
    } catch (error) {
      throw storageError(error, this.folder);
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
  }

  async #temporaryFolder(): Promise<string> {
    try {
      await mkdir(this.folder, { recursive: true });
      await removeAbandoned(this.folder);
      const temporary = join(this.folder, `${temporaryPrefix}${randomBytes(8).toString('hex')}`);
      await mkdir(temporary);
      return temporary;
    } catch (error) {
      throw storageError(error, this.folder);
    }
  }
}

/** The default pack in `folder`, or null when it has to be built. */
async function usableDefault(folder: string): Promise<ModelPack | null> {
  try {
    const pack = await loadModelPack(folder);
    return pack.manifest.build === defaultPackBuild ? pack : null;
  } catch (error) {
    if (isHarmonidError(error) && (error.code === 'MODEL_NOT_FOUND' || error.code === 'MODEL_INVALID')) return null;
    throw error;
  }
}

/** Renames a folder unless there is one with entries already; says whether it did. */
async function renameIfFree(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    const code = systemCode(error);
    // EPERM is what Windows says.
    if (code === 'ENOTEMPTY' || code === 'EEXIST' || code === 'ENOTDIR' || (code === 'EPERM' && (await exists(to))))
      return false;
    throw error;
  }
}

async function removeAbandoned(folder: string): Promise<void> {
  const limit = Date.now() - abandonedAfterMs;
  for (const name of await readdir(folder)) {
    if (!name.startsWith(temporaryPrefix)) continue;
    const path = join(folder, name);
    const info = await stat(path).catch(ignoreMissing);
    if (info && info.mtimeMs < limit) await rm(path, { recursive: true, force: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(ignoreMissing)) !== undefined;
}

function ignoreMissing(error: unknown): undefined {
  if (systemCode(error) !== 'ENOENT') throw error;
  return undefined;
}

function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

/** What the operating system says, in our codes. */
function storageError(error: unknown, folder: string): unknown {
  const code = systemCode(error) ?? '';
  if (['ENOSPC', 'EDQUOT'].includes(code)) {
    return new HarmonidError('DISK_FULL', `no room for a model pack in ${folder}`, { cause: error });
  }
  if (['EACCES', 'EROFS', 'EPERM'].includes(code)) {
    return new HarmonidError('DATA_READ_ONLY', `the models directory ${folder} cannot be written`, { cause: error });
  }
  if (['ENOTDIR', 'EEXIST'].includes(code)) {
    return new HarmonidError('INVALID_ARGUMENT', `the models directory ${folder} is not a folder`, { cause: error });
  }
  return error;
}
