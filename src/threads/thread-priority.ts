/** How a thread stands beside the others of its process. */
import { readlinkSync } from 'node:fs';
import { platform, setPriority } from 'node:os';
import { basename } from 'node:path';

/**
 * Gives the calling thread Linux's niceness, 0 (like everybody) to 19 (last); nothing elsewhere. Before the first ONNX session is opened: ONNX
 * Runtime's threads inherit it.
 */
export function standBehind(niceness: number): void {
  if (platform() !== 'linux') return;
  try {
    setPriority(Number(basename(readlinkSync('/proc/thread-self'))), niceness);
  } catch {
    // Not allowed here: everything works, answers may wait for a core a little longer.
  }
}
