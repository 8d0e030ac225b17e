/** `harmonid evaluate report`: everything that a folder of photos can say about model packs, in one go. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Command, Option } from 'commander';
import { openEmbedder } from '../connection.js';
import { alignedOption, dataOption, faceOption, withStages } from '../evaluation.js';
import { exitCodes, type ExitCode } from '../failure.js';
import { describe, embedderOptions, wholeNumber, type EmbedderOptions } from '../options.js';
import { readPairs } from '../pair-evaluation.js';
import { readPeople, type PeopleEvaluationOptions } from '../people-evaluation.js';
import type { Run } from '../run.js';
import { note, printJson, printLine, type Terminal } from '../terminal.js';
import { parsePacks } from './evaluate-compare.js';
import { readSame } from './evaluate-calibration.js';

interface ReportOptions extends Omit<PeopleEvaluationOptions, 'html' | 'cache'>, EmbedderOptions {
  readonly out: string;
  readonly packs?: readonly string[];
  readonly pairs?: string;
  readonly robustness?: boolean;
  readonly same?: string;
  readonly seed: number;
}

export function reportEvaluation(run: Run): Command {
  const command = new Command('report').description(
    'Everything at once: verification, identification, calibration, clusters, smaller embeddings and a map of the faces, as pages with pictures in a folder. What the photos are ' +
      'too few for is left out and said. Run again, it resumes. Photos: one folder a person.',
  );
  dataOption(command)
    .requiredOption('--images <dir>', 'photos: one folder a person')
    .requiredOption(
      '--out <dir>',
      'the folder to write to: index.html, a page a protocol, pictures, report.json and the vectors',
    )
    .addOption(
      new Option('--packs <ids>', 'several model packs, with commas between; the others are compared with the first')
        .argParser(parsePacks)
        .conflicts('pack'),
    )
    .option('--pairs <file>', "pairs in the format of LFW's pairs.txt (default: drawn from the photos)")
    .option('--robustness', 'also photos made worse: thirty times the work')
    .option('--same <file>', 'people who have two names: a line for each, the names with a comma between them')
    .addOption(new Option('--seed <n>', 'of everything random').argParser(wholeNumber).default(1));
  alignedOption(command);
  faceOption(command);
  describe(
    command,
    [
      'harmonid evaluate report --images ./people --out ./report',
      'harmonid evaluate report --images ./people --packs dlib-resnet-v1,arcface-r50 --robustness --out ./report',
    ],
    'The pages name people and show photos: they are readable by their owner only. The pictures have neither.\n' +
      'With --json: the report, with "packs": each with "verification", "identification" and so on, as "report" or "refusal".',
  );
  embedderOptions(command);
  return command.action((options: ReportOptions) => run(command, (terminal) => report(terminal, options)));
}

async function report(terminal: Terminal, options: ReportOptions): Promise<ExitCode> {
  const { images, out, seed, robustness } = options;
  const people = await readPeople(terminal, options);
  const pairs = options.pairs === undefined ? undefined : await readPairs(images, options.pairs);
  const same = options.same === undefined ? [] : await readSame(options.same);
  await mkdir(out, { recursive: true, mode: 0o700 });
  const packs = options.packs?.map((pack) => () => openEmbedder({ ...options, pack })) ?? [() => openEmbedder(options)];
  const { openAlgebra } = await import('../../migrate/dense-algebra.js');
  const { reportFolder } = await import('../../evaluate/folder-report.js');
  const algebra = await openAlgebra();
  try {
    const found = await withStages(terminal, (onProgress) =>
      reportFolder({
        ...people,
        packs,
        imagesPath: images,
        pairs,
        cachePath: join(out, 'vectors.jsonl'),
        algebra,
        robustness,
        same,
        seed,
        onProgress,
      }),
    );
    const { folderReportFiles } = await import('../../evaluate/folder-report-files.js');
    const { readPhoto } = await import('../../evaluate/photo-vectors.js');
    for await (const { path, text } of folderReportFiles(found, (photo) => readPhoto(images, photo))) {
      terminal.interrupt.throwIfAborted();
      const file = join(out, path);
      await mkdir(dirname(file), { recursive: true, mode: 0o700 });
      await writeFile(file, text, { mode: 0o600 });
    }
    note(terminal, `written: ${join(out, 'index.html')}`);
    const { formatFolderReport } = await import('../../evaluate/folder-report-table.js');
    if (options.json) printJson(terminal, found);
    else printLine(terminal, formatFolderReport(found));
    return exitCodes.done;
  } finally {
    await algebra.close();
  }
}
