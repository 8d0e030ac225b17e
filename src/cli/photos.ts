/**
 * Photos by name: files, `-` for standard input, and folders of people.
 *
 * Only names are read here until a photo's turn comes, so that a folder of any size takes little memory. What is left out
 * of an import is listed, never dropped in silence.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { HarmonidError } from '../errors.js';
import { usageError } from './failure.js';
import { note, type Terminal } from './terminal.js';
import { printable } from './wording.js';

/** The bytes of a photo. @throws usage errors for names that cannot be read */
export async function readPhoto(terminal: Terminal, path: string): Promise<Uint8Array> {
  if (path === '-') return readStdin(terminal);
  try {
    return await readFile(path);
  } catch (error) {
    throw usageError(`${unreadable(error)}: ${path}`);
  }
}

/** Tells a name that cannot be read before models are loaded. @throws usage errors */
export async function checkPhotos(paths: readonly string[]): Promise<void> {
  if (paths.filter((path) => path === '-').length > 1) throw usageError('standard input (-) can be read only once');
  for (const path of paths) {
    if (path === '-') continue;
    const found = await stat(path).catch((error: unknown) => {
      throw usageError(`${unreadable(error)}: ${path}`);
    });
    if (found.isDirectory()) throw usageError(`this is a directory, a file is wanted: ${path}`);
  }
}

async function readStdin({ stdin }: Terminal): Promise<Uint8Array> {
  if (stdin.isTTY) throw usageError('- reads a photo from standard input, but that is a terminal: pipe a file into it');
  const chunks: Buffer[] = [];
  for await (const chunk of stdin) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

/** What a photo is called in answers. */
export function photoName(path: string): string {
  return path === '-' ? '(standard input)' : path;
}

function unreadable(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return 'no such file';
  if (code === 'EISDIR') return 'this is a directory, a file is wanted';
  if (code === 'EACCES') return 'no permission to read';
  return 'cannot read';
}

/** A photo of a folder of people. */
export interface PersonPhoto {
  /** Name of the folder. */
  readonly identity: string;
  readonly path: string;
}

export interface PeopleFolder {
  /** People in the order of their names, photos in the order of theirs. */
  readonly photos: readonly PersonPhoto[];
  readonly people: number;
  /** Files and folders that are not photos of a person: loose files, nested folders, other file names. */
  readonly ignored: readonly string[];
}

/** File names that are taken for photos. */
export const photoExtensions = ['.jpg', '.jpeg', '.png', '.webp', '.avif', '.tif', '.tiff', '.gif'] as const;

/** Lists a folder that holds one folder a person. Hidden files are passed over. */
export async function listPeople(directory: string): Promise<PeopleFolder> {
  const photos: PersonPhoto[] = [];
  const ignored: string[] = [];
  let people = 0;
  for (const person of await listDirectory(directory)) {
    if (person.kind !== 'folder') {
      ignored.push(person.path);
      continue;
    }
    people++;
    for (const entry of await listDirectory(person.path)) {
      if (entry.kind === 'file' && isPhotoName(entry.path))
        photos.push({ identity: basename(person.path), path: entry.path });
      else ignored.push(entry.path);
    }
  }
  return { photos, people, ignored };
}

/** A photo of any folder. */
export interface FoundPhoto {
  readonly path: string;
  /** Name of its folder, when folders are people; otherwise null. */
  readonly person: string | null;
}

/**
 * Lists the photos of a folder, nested or flat, in the order of their names. Folders are people when every photo lies in a folder of the folder, and there are
 * several. Hidden files are passed over.
 */
export async function listPhotos(
  directory: string,
): Promise<{ readonly photos: readonly FoundPhoto[]; readonly ignored: readonly string[] }> {
  const found: { readonly path: string; readonly folders: readonly string[] }[] = [];
  const ignored: string[] = [];
  const walk = async (folder: string, folders: readonly string[]): Promise<void> => {
    for (const { path, kind } of await listDirectory(folder)) {
      if (kind === 'folder') await walk(path, [...folders, basename(path)]);
      else if (kind === 'file' && isPhotoName(path)) found.push({ path, folders });
      else ignored.push(path);
    }
  };
  await walk(directory, []);
  const arePeople =
    found.every(({ folders }) => folders.length === 1) && new Set(found.map(({ folders: [name] }) => name)).size > 1;
  return {
    photos: found.map(({ path, folders: [name] }) => ({ path, person: arePeople && name !== undefined ? name : null })),
    ignored,
  };
}

/** Names what was left out of a folder. */
export function noteIgnored(terminal: Terminal, ignored: PeopleFolder['ignored']): void {
  if (ignored.length === 0) return;
  const shown = ignored.slice(0, 5).map(printable).join(', ');
  note(
    terminal,
    `ignored, not photos of a person: ${shown}${ignored.length > 5 ? ` and ${ignored.length - 5} more` : ''}`,
  );
}

interface Entry {
  readonly path: string;
  readonly kind: 'file' | 'folder' | 'other';
}

async function listDirectory(directory: string): Promise<readonly Entry[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    const visible = entries.filter(({ name }) => !name.startsWith('.')).toSorted((a, b) => (a.name < b.name ? -1 : 1));
    return await Promise.all(
      visible.map(async (entry) => {
        const path = join(directory, entry.name);
        const target = entry.isSymbolicLink() ? await stat(path).catch(() => entry) : entry;
        return { path, kind: target.isFile() ? 'file' : target.isDirectory() ? 'folder' : 'other' };
      }),
    );
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT') throw usageError(`no such directory: ${directory}`);
    if (code === 'ENOTDIR') throw usageError(`${directory} is a file; a directory with one folder a person is wanted`);
    throw new HarmonidError('INVALID_ARGUMENT', `cannot read the directory ${directory}`, { cause: error });
  }
}

function isPhotoName(path: string): boolean {
  const extension = extname(path).toLowerCase();
  return photoExtensions.some((known) => known === extension);
}
