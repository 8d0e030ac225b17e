/** What commands that embed labelled photos have in common: where packs and photos are, how faces are found in them, progress by stages, the report in each form. */
import { writeFile } from 'node:fs/promises';
import { Option, type Command } from 'commander';
import type { FaceChoice } from '../evaluate/face-choice.js';
import type { PhotoKind } from '../evaluate/photo-embedding.js';
import { dataDefault, type OutputOptions } from './options.js';
import { startProgress, type Progress } from './progress.js';
import { note, printJson, printLine, type Terminal } from './terminal.js';

export type Alignment = 'chip' | 'arcface112';

export interface EvaluationOptions extends OutputOptions {
  readonly data: string;
  readonly face: FaceChoice;
  readonly cache?: string;
  readonly html?: string;
}

export function dataOption(command: Command): Command {
  return command.option('-d, --data <dir>', 'the data directory whose model packs are used', dataDefault);
}

/** @param photo what a picture is called here */
export function alignedOption(command: Command, photo = 'photo'): Command {
  return command.addOption(
    new Option('--aligned <how>', `the ${photo}s are crops: of the model's chip, or InsightFace's of 112x112`).choices([
      'chip',
      'arcface112',
    ] satisfies readonly Alignment[]),
  );
}

export function kindOf(aligned: Alignment | undefined): PhotoKind {
  return aligned === undefined ? 'full' : aligned === 'chip' ? 'aligned' : aligned;
}

export function faceOption(
  command: Command,
  description = 'the face that is meant when a photo shows several',
): Command {
  return command.addOption(
    new Option('--face <which>', description).choices(['central', 'largest']).default('central'),
  );
}

/** --cache and --html. */
export function fileOptions(command: Command): Command {
  return command
    .option('--cache <file>', 'keep the vectors in this file, so that a second run resumes')
    .option('--html <file>', 'also write a page with plots (readable by its owner only)');
}

/** Works with a bar of `unit` that begins when the total is known, and is gone whatever happens. */
export function withProgress<T>(
  terminal: Terminal,
  unit: string,
  work: (onProgress: (done: number, total: number) => void) => Promise<T>,
): Promise<T> {
  return withStages(terminal, (onStage) => work((done, total) => onStage(unit, done, total)));
}

/** The same with a bar for each stage, named by what is counted in it. */
export async function withStages<T>(
  terminal: Terminal,
  work: (onStage: (stage: string, done: number, total: number) => void) => Promise<T>,
): Promise<T> {
  let shown: { readonly stage: string; readonly progress: Progress } | undefined;
  try {
    return await work((stage, done, total) => {
      if (shown?.stage !== stage) {
        shown?.progress.stop();
        shown = { stage, progress: startProgress(terminal, total, stage) };
      }
      shown.progress.reach(done);
    });
  } finally {
    shown?.progress.stop();
  }
}

/** The report as it was asked for: a page beside it, JSON or a table. The page names people. */
export async function printReport(
  terminal: Terminal,
  { html, json }: Pick<EvaluationOptions, 'html' | 'json'>,
  report: unknown,
  formats: { readonly table: () => string; readonly page: () => Promise<string> },
): Promise<void> {
  if (html !== undefined) {
    await writeFile(html, await formats.page(), { mode: 0o600 });
    note(terminal, `written: ${html}`);
  }
  if (json) printJson(terminal, report);
  else printLine(terminal, formats.table());
}
