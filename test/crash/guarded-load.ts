/**
 * Tells the warning of the crash-loop guard that must come from one that must not: a graph file is given up when two kills in a row fell into its
 * loading, which is told by the mark beside it, read before the product reads it.
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Whether a warning is due after an opening of this directory; asked before it is opened. */
export function isGuardDue(path: string): boolean {
  const folder = join(path, 'graphs');
  try {
    return readdirSync(folder).some((name) => name.endsWith('.loading') && statSync(join(folder, name)).size >= 2);
  } catch {
    return false;
  }
}

export function isOfGuard(warning: string): boolean {
  return /the process died \d+ times while graph file/.test(warning);
}
