/**
 * Where the data directory of a run lies: a small file system in memory that can be filled up, where one may be mounted; else a
 * temporary folder, and then a full disk is only played by a limit on the size of files.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const mountedBytes = 48 << 20;

export interface Place {
  /** The data directory. */
  readonly path: string;
  /** A folder beside it on a roomy disk, for copies. */
  readonly copies: string;
  /** Whether `fill` works. */
  readonly isSmall: boolean;
  /** Leaves so many bytes, to the page, on the file system. */
  fill(roomBytes: number): void;
  /** Gives the room back. */
  empty(): void;
  remove(): void;
}

export function openPlace(): Place {
  const base = mkdtempSync(join(tmpdir(), 'harmonid-simulation-'));
  const disk = join(base, 'disk');
  const copies = join(base, 'copies');
  execFileSync('mkdir', [disk, copies]);
  const isSmall = mount(disk);
  const ballast = join(disk, 'ballast');
  return {
    path: join(disk, 'data'),
    copies,
    isSmall,
    fill(roomBytes) {
      const { bavail, bsize } = statfsSync(disk);
      writeFileSync(ballast, Buffer.alloc(Math.max(0, bavail * bsize - roomBytes)));
    },
    empty: () => rmSync(ballast, { force: true }),
    remove() {
      if (isSmall) execFileSync('umount', ['-l', disk]);
      rmSync(base, { recursive: true, force: true });
    },
  };
}

function mount(path: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mountedBytes}`, 'tmpfs', path], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
