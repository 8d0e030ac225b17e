/**
 * Taking from an index what it needs to write, and giving it back: room on the disk, the size of files, the folder of graph files.
 *
 * A limit of file sizes cuts a write short at any byte; a full file system does so at a page.
 */
import { renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Starvation } from './plan.js';
import { count, type RunState } from './run-state.js';

/** A limit below every page but the two that begin the data file, so that no commit succeeds. */
export const everyWriteFails = 8_192;

export async function starve(run: RunState, starvation: Starvation): Promise<void> {
  const { path, isSmall } = run.place;
  const kind = starvation.kind === 'disk' && !isSmall ? 'file-size' : starvation.kind;
  if (kind === 'disk') run.place.fill(starvation.roomBytes);
  else if (kind === 'graphs') blockGraphs(path);
  else {
    const bytes = statSync(join(path, 'data.lmdb')).size;
    const limit = starvation.roomBytes === 0 ? everyWriteFails : bytes + starvation.roomBytes;
    if (!(await run.host.limitFiles(limit))) return;
  }
  count(run.report.starvations, kind);
  run.starvation = { ...starvation, kind, untilStep: run.report.steps + starvation.steps };
}

/** Gives back what was taken, and nothing more. */
export async function feed(run: RunState): Promise<void> {
  const { place, host, starvation } = run;
  run.starvation = null;
  if (starvation?.kind === 'disk') place.empty();
  if (starvation?.kind === 'file-size') await host.limitFiles(null);
  if (starvation?.kind === 'graphs') unblockGraphs(place.path);
}

/** A file where the folder should be: whatever is to be written into it fails. */
function blockGraphs(path: string): void {
  renameFolder(join(path, 'graphs'), join(path, 'graphs.away'));
  writeFileSync(join(path, 'graphs'), '');
}

function unblockGraphs(path: string): void {
  rmSync(join(path, 'graphs'), { force: true, recursive: true });
  renameFolder(join(path, 'graphs.away'), join(path, 'graphs'));
}

function renameFolder(from: string, to: string): void {
  if (statSync(from, { throwIfNoEntry: false })) renameSync(from, to);
}
