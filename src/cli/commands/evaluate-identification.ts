/** `harmonid evaluate identification`: who is found in a gallery, who is missed, and who is taken for somebody else. */
import { writeFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { withEmbedder } from '../connection.js';
import { exitCodes, usageError, type ExitCode } from '../failure.js';
import {
  dataDefault,
  describe,
  embedderOptions,
  wholeNumber,
  wholeNumbers,
  type EmbedderOptions,
  type OutputOptions,
} from '../options.js';
import { listPeople } from '../photos.js';
import { startProgress, type Progress } from '../progress.js';
import type { Run } from '../run.js';
import { note, printJson, printLine, type Terminal } from '../terminal.js';

interface IdentificationOptions extends OutputOptions, EmbedderOptions {
  readonly data: string;
  readonly images: string;
  readonly aligned?: 'chip' | 'arcface112';
  readonly face: 'central' | 'largest';
  readonly sizes?: readonly number[];
  readonly distractors?: readonly number[];
  readonly engine: 'exact' | 'hnsw' | 'both';
  readonly ef?: number;
  readonly seed: number;
  readonly cache?: string;
  readonly html?: string;
}

export function identificationEvaluation(run: Run): Command {
  const command = new Command('identification')
    .description(
      'Open-set search of one among many (NIST FRTE 1:N): some people are enrolled with one photo, their other photos and those of people who are not enrolled are ' +
        'searched for. FNIR at FPIR 1e-1, 1e-2 and 1e-3 with intervals over people, as the gallery grows. Photos: one folder a person.',
    )
    .option('-d, --data <dir>', 'the data directory whose model packs are used', dataDefault)
    .requiredOption('--images <dir>', 'photos: one folder a person')
    .addOption(
      new Option('--aligned <how>', "the photos are crops: of the model's chip, or InsightFace's of 112x112").choices([
        'chip',
        'arcface112',
      ]),
    )
    .addOption(
      new Option('--face <which>', 'the face that is meant when a photo shows several')
        .choices(['central', 'largest'])
        .default('central'),
    )
    .option('--sizes <list>', 'people enrolled, e.g. 500,1000 (default: half of them)', wholeNumbers)
    .option('--distractors <list>', 'synthetic strangers beside the largest of them, e.g. 10000,100000', wholeNumbers)
    .addOption(
      new Option('--engine <which>', 'exact search, the graph, or both, which also tells its recall')
        .choices(['exact', 'hnsw', 'both'])
        .default('both'),
    )
    .option(
      '--ef <n>',
      'width of the walk through the graph: larger finds more and takes longer (default: 128)',
      wholeNumber,
    )
    .addOption(
      new Option('--seed <n>', 'of who is enrolled, and of everything random').argParser(wholeNumber).default(1),
    )
    .option('--cache <file>', 'keep the vectors in this file, so that a second run resumes')
    .option('--html <file>', 'also write a page with the curves (readable by its owner only)');
  describe(
    command,
    [
      'harmonid evaluate identification --images ./people --cache vectors.jsonl --html report.html',
      'harmonid evaluate identification --images ./people --sizes 500,1000 --distractors 10000,100000 --json',
    ],
    'Synthetic strangers are drawn from a Gaussian of people’s vectors, and are easier than real ones.\n' +
      'With --json: the report, with "galleries" ("rank1", "atFpir", "det", "recall"), "searches" and "nearest". It and the page name people.',
  );
  embedderOptions(command);
  return command.action((options: IdentificationOptions) => run(command, (terminal) => identify(terminal, options)));
}

async function identify(terminal: Terminal, options: IdentificationOptions): Promise<ExitCode> {
  const { images, aligned, engine } = options;
  const { photos } = await listPeople(images);
  if (photos.length === 0) throw usageError(`there are no photos in folders of people in ${images}`);
  const { evaluateIdentification } = await import('../../evaluate/identification.js');
  let progress: Progress | undefined;
  let shown = '';
  try {
    const report = await withEmbedder(options, (embedder) =>
      evaluateIdentification({
        embedder,
        photos: photos.map(({ identity, path }) => ({ person: identity, path })),
        kind: aligned === undefined ? 'full' : aligned === 'chip' ? 'aligned' : aligned,
        faceChoice: options.face,
        sizes: options.sizes,
        distractors: options.distractors,
        engines: engine === 'both' ? ['exact', 'hnsw'] : [engine],
        ef: options.ef,
        seed: options.seed,
        cachePath: options.cache,
        onProgress: (stage, done, total) => {
          if (stage !== shown) {
            progress?.stop();
            progress = startProgress(terminal, total, stage);
            shown = stage;
          }
          progress?.reach(done);
        },
        signal: terminal.interrupt,
      }),
    );
    progress?.stop();
    if (options.html !== undefined) {
      // It names people.
      const { renderIdentificationPage } = await import('../../evaluate/identification-page.js');
      await writeFile(options.html, await renderIdentificationPage(report), { mode: 0o600 });
      note(terminal, `written: ${options.html}`);
    }
    const { formatIdentificationReport } = await import('../../evaluate/identification-table.js');
    if (options.json) printJson(terminal, report);
    else printLine(terminal, formatIdentificationReport(report));
    return exitCodes.done;
  } finally {
    progress?.stop();
  }
}
