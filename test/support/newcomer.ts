/** A newcomer's folder: harmonid in node_modules and on the PATH, photos of two people, and one of the first at the door. Snippets of our pages run in it. */
import type { ChildProcess } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { modelsPath, temporaryFolder } from './database.js';
import { repositoryPath } from './paths.js';
import { alterations, portrait } from './photos.js';

/** Code blocks of a page that are marked for running, in order. */
export function snippetsOf(page: string, mark: string, language: string): readonly string[] {
  const pattern = new RegExp(`<!-- ${mark} -->\n\`\`\`${language}\n([\\s\\S]*?)\`\`\``, 'g');
  return [...page.matchAll(pattern)].map((match) => match[1] ?? '');
}

/** @param dataFolders data directories that have the default pack already: it takes seconds to build */
export async function makeNewcomersFolder(dataFolders: readonly string[]): Promise<string> {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'node_modules', '.bin'), { recursive: true });
  symlinkSync(repositoryPath, join(folder, 'node_modules', 'harmonid'));
  const main = join(repositoryPath, 'dist', 'src', 'cli', 'main.js');
  chmodSync(main, 0o755);
  symlinkSync(main, join(folder, 'node_modules', '.bin', 'harmonid'));
  for (const data of dataFolders) {
    mkdirSync(join(folder, data));
    symlinkSync(modelsPath, join(folder, data, 'models'));
  }
  for (const [name, person] of [
    ['alice', 'green'],
    ['bob', 'burgundy'],
  ] as const) {
    mkdirSync(join(folder, 'people', name), { recursive: true });
    writeFileSync(join(folder, 'people', name, '1.jpg'), await portrait(person));
  }
  writeFileSync(join(folder, 'door.jpg'), await alterations.darkened(await portrait('green')));
  return folder;
}

export function environmentIn(folder: string): NodeJS.ProcessEnv {
  return {
    ...process.env,
    PATH: `${join(folder, 'node_modules', '.bin')}${delimiter}${process.env['PATH'] ?? ''}`,
    NO_COLOR: '1',
  };
}

/** The address of this machine that `child`, a server, says it listens on; `after` comes before it in the log. */
export async function listeningAddress(child: ChildProcess, after = ''): Promise<string> {
  let output = '';
  return new Promise((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      output += chunk.toString();
      const match = /127\.0\.0\.1:(\d+)/.exec(output.slice(output.indexOf(after)));
      if (output.includes(after) && match && match[1] !== '0') resolve(match[0]);
    };
    child.stdout?.on('data', read);
    child.stderr?.on('data', read);
    child.once('exit', (code) => reject(new Error(`the server ended with code ${code}: ${output}`)));
  });
}
