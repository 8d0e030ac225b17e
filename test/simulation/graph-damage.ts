/** What can befall graph files while nobody has the directory open. */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Damage } from './restart-plan.js';

/** Names of graph files whose content is no longer what their checkpoint says. */
export function damageGraphs(
  path: string,
  keep: string,
  damage: Extract<Damage, { kind: 'graphs' }>,
): readonly string[] {
  const folder = join(path, 'graphs');
  const names = existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => isGraph(name))
        .toSorted()
    : [];
  const name = names[Math.floor(damage.rank * names.length)];
  if (name === undefined) return [];
  const file = join(folder, name);
  switch (damage.damage) {
    case 'flip': {
      const bytes = readFileSync(file);
      const place = Math.floor(damage.place * bytes.length);
      bytes[place] = (bytes[place] ?? 0) ^ (1 << damage.bit);
      writeFileSync(file, bytes);
      return [name];
    }
    case 'cut':
      truncateSync(file, Math.floor(damage.place * statSync(file).size));
      return [name];
    case 'empty':
      truncateSync(file, 0);
      return [name];
    case 'missing':
      rmSync(file);
      return [name];
    case 'swap': {
      const other = names.find((each) => each !== name);
      if (other === undefined) return [];
      const bytes = readFileSync(file);
      copyFileSync(join(folder, other), file);
      writeFileSync(join(folder, other), bytes);
      return [name, other];
    }
    case 'stale': {
      // The file that the gallery had some checkpoints ago, under the name of its newest.
      const number = name.split('-')[0];
      const older = existsSync(keep) ? readdirSync(keep).find((each) => each.startsWith(`${number}-`)) : undefined;
      if (older === undefined || older === name) return [];
      copyFileSync(join(keep, older), file);
      return [name];
    }
    case 'no-folder':
      rmSync(folder, { recursive: true });
      return names;
  }
}

function isGraph(name: string): boolean {
  return /\.(hnsw|graph)$/.test(name);
}

/** Keeps copies of the present graph files, from which a later damage takes a stale one. */
export function keepGraphs(path: string, keep: string): void {
  const folder = join(path, 'graphs');
  if (!existsSync(folder)) return;
  rmSync(keep, { recursive: true, force: true });
  mkdirSync(keep, { recursive: true });
  for (const name of readdirSync(folder)) {
    if (isGraph(name)) copyFileSync(join(folder, name), join(keep, name));
  }
}

/** Files in graphs/ that no process had a reason to leave. */
export function leaveLitter(path: string, names: readonly string[]): void {
  const folder = join(path, 'graphs');
  mkdirSync(folder, { recursive: true });
  for (const name of names) writeFileSync(join(folder, name), 'litter');
}

export function litterIn(path: string, names: readonly string[]): readonly string[] {
  const folder = join(path, 'graphs');
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((name) => names.includes(name) || name.startsWith('.part-'));
}
