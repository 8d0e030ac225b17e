/** `harmonid evaluate clustering`: how well clusters of faces are people, with the cut from other people. */
import { Command, Option } from 'commander';
import { linkages } from '../../cluster/agglomeration.js';
import type { ClusteringReport } from '../../evaluate/clustering.js';
import { withEmbedder } from '../connection.js';
import { exitCodes, usageError, type ExitCode } from '../failure.js';
import {
  dataDefault,
  describe,
  embedderOptions,
  wholeNumber,
  type EmbedderOptions,
  type OutputOptions,
} from '../options.js';
import { listPeople } from '../photos.js';
import { startProgress } from '../progress.js';
import type { Run } from '../run.js';
import { note, painter, printJson, printLine, type Terminal } from '../terminal.js';
import { counted, distanceText, table } from '../wording.js';

interface ClusteringOptions extends OutputOptions, EmbedderOptions {
  readonly data: string;
  readonly images: string;
  readonly aligned?: 'chip' | 'arcface112';
  readonly face: 'central' | 'largest';
  readonly photosMin: number;
  readonly seed: number;
  readonly cache?: string;
}

export function clusteringEvaluation(run: Run): Command {
  const command = new Command('clustering')
    .description(
      'How well clusters of faces are people: pairwise F1 and BCubed F of all linkages. The cut is chosen on half of the people and scored on the other half, both ways. Photos: one folder a person.',
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
    .option('--photos-min <n>', 'leave out people with fewer photos', wholeNumber, 3)
    .addOption(new Option('--seed <n>', 'of the halves').argParser(wholeNumber).default(1))
    .option('--cache <file>', 'keep the vectors in this file, so that a second run resumes');
  describe(
    command,
    [
      'harmonid evaluate clustering --images ./people --cache vectors.jsonl',
      'harmonid evaluate clustering --images ./crops --aligned arcface112 --seed 2 --json',
    ],
    'With --json: the report, with "rows": each linkage with "pairwiseF", "bcubedF" and both "halves" with "cut" and "scores".',
  );
  embedderOptions(command);
  return command.action((options: ClusteringOptions) => run(command, (terminal) => evaluate(terminal, options)));
}

async function evaluate(terminal: Terminal, options: ClusteringOptions): Promise<ExitCode> {
  const { photos } = await listPeople(options.images);
  const counts = new Map<string, number>();
  for (const { identity } of photos) counts.set(identity, (counts.get(identity) ?? 0) + 1);
  const kept = photos.filter(({ identity }) => (counts.get(identity) ?? 0) >= options.photosMin);
  if (new Set(kept.map(({ identity }) => identity)).size < 4)
    throw usageError(`at least 4 people with ${options.photosMin} photos are wanted in ${options.images}`);
  const { embedPeople, evaluateClustering } = await import('../../evaluate/clustering.js');
  const progress = startProgress(terminal, kept.length, 'photos');
  try {
    const { vectors, people, notFound } = await withEmbedder(options, (embedder) =>
      embedPeople({
        embedder,
        photos: kept.map(({ identity, path }) => ({ path, person: identity })),
        kind: options.aligned === undefined ? 'full' : options.aligned === 'chip' ? 'aligned' : options.aligned,
        faceChoice: options.face,
        cachePath: options.cache,
        onProgress: (done) => progress.reach(done),
        signal: terminal.interrupt,
      }),
    );
    progress.stop();
    if (notFound.length > 0) note(terminal, `no face found in ${notFound.length} of ${kept.length} photos`);
    const report = evaluateClustering({ vectors, people, linkages, seed: options.seed });
    if (options.json) printJson(terminal, { ...report, notFound });
    else printLine(terminal, reportText(terminal, report));
    return exitCodes.done;
  } finally {
    progress.stop();
  }
}

function reportText(terminal: Terminal, { faceCount, personCount, rows }: ClusteringReport): string {
  const lines = rows.map(({ linkage, pairwiseF, bcubedF, halves }) => [
    linkage,
    pairwiseF.toFixed(3),
    bcubedF.toFixed(3),
    ...halves.map(
      ({ cut, scores: { pairwise, bcubed } }) =>
        `${pairwise.f.toFixed(3)} ${bcubed.f.toFixed(3)} at ${distanceText(cut)}`,
    ),
  ]);
  const head = ['linkage', 'pairwise F1', 'BCubed F', 'first half', 'second half'];
  return `${counted(faceCount, 'face')} of ${counted(personCount, 'person', 'people')}; each half with the cut of the other\n\n${table(painter(terminal, 'stdout'), head, lines)}`;
}
