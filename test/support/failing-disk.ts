/** The disk that fails on order (failing-disk.c), built, and what a process needs so that it stands before one of its files. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { repositoryPath } from './paths.js';

export interface FailingDisk {
  /** Of the process that is to have it; it writes its orders into the file that DISK_ORDERS names. */
  readonly env: NodeJS.ProcessEnv;
  /** What a power loss would leave of the file. */
  readonly kept: string;
}

/** Whether one can be built here; says so where not. */
export function canFailDisk(): boolean {
  try {
    execFileSync('gcc', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    console.log('      skipped: failing calls need gcc and LD_PRELOAD');
    return false;
  }
}

/** @param folder for what it needs; @param file that may not be there yet */
export function buildFailingDisk(folder: string, file: string): FailingDisk {
  const library = join(folder, 'failing-disk.so');
  const source = join(repositoryPath, 'test', 'support', 'failing-disk.c');
  execFileSync('gcc', ['-shared', '-fPIC', '-O1', '-o', library, source, '-ldl', '-lpthread']);
  const kept = join(folder, 'kept');
  const orders = join(folder, 'orders');
  return { env: { ...process.env, LD_PRELOAD: library, DISK_FILE: file, DISK_KEPT: kept, DISK_ORDERS: orders }, kept };
}
