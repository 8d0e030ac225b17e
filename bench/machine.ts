/** Where a benchmark runs: without it a figure means nothing. Also where its files lie. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { arch, platform, resourceUsage, version as nodeVersion } from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** The folder that holds package.json and src, wherever the compiled bench lies. */
export const repositoryPath = findUpwards(dirname(fileURLToPath(import.meta.url)));
/** The sources of the bench, with its data. */
export const benchPath = join(repositoryPath, 'bench');

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly platform: string;
  readonly node: string;
  /** Versions of the native engines. */
  readonly packages: Readonly<Record<string, string>>;
  /** Short commit, with `+` when files differ from it; `unknown` outside of a clone. */
  readonly commit: string;
}

const engines = ['onnxruntime-node', 'hnswlib-node', 'lmdb', '@grpc/grpc-js', 'sharp'] as const;

export async function describeMachine(): Promise<Machine> {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${platform} ${arch}`,
    node: nodeVersion,
    packages: Object.fromEntries(engines.map((name) => [name, packageVersion(name)])),
    commit: await commitNow(),
  };
}

/** The largest resident size that this process had so far, bytes. */
export function peakMemoryBytes(): number {
  return resourceUsage().maxRSS * 1024;
}

/** What this process holds, bytes: its own pages, and pages of files that are mapped, which are the system's to take back. */
export interface ProcessMemory {
  readonly ownBytes: number;
  readonly mappedBytes: number;
}

/** Of Linux, which is what the bench runs on; NaN elsewhere. */
export function processMemory(): ProcessMemory {
  const status = existsSync('/proc/self/status') ? readFileSync('/proc/self/status', 'utf8') : '';
  const bytes = (name: string): number => 1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]);
  return { ownBytes: bytes('RssAnon') + bytes('RssShmem'), mappedBytes: bytes('RssFile') };
}

/** Some packages do not export their package.json, so it is looked for above their entry. */
function packageVersion(name: string): string {
  let folder = dirname(createRequire(import.meta.url).resolve(name));
  while (!existsSync(join(folder, 'package.json')) || !folder.replaceAll('\\', '/').endsWith(name)) {
    const parent = dirname(folder);
    if (parent === folder) return 'unknown';
    folder = parent;
  }
  const manifest: unknown = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest
    ? String(manifest.version)
    : 'unknown';
}

async function commitNow(): Promise<string> {
  const run = promisify(execFile);
  try {
    const { stdout } = await run('git', ['describe', '--always', '--dirty=+', '--exclude=*'], { cwd: repositoryPath });
    return stdout.trim();
  } catch {
    return 'unknown';
  }
}

function findUpwards(folder: string): string {
  if (existsSync(join(folder, 'package.json')) && existsSync(join(folder, 'src'))) return folder;
  const parent = dirname(folder);
  if (parent === folder) throw new Error('no package.json above the bench');
  return findUpwards(parent);
}
