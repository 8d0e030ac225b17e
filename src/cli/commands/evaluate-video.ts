/** `harmonid evaluate video`: YouTube Faces' protocol on tracks and a list of splits. */
import { readFile, writeFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { withEmbedder } from '../connection.js';
import { isDirectory } from '../directories.js';
import { exitCodes, usageError, type ExitCode } from '../failure.js';
import {
  dataDefault,
  describe,
  embedderOptions,
  wholeNumbers,
  type EmbedderOptions,
  type OutputOptions,
} from '../options.js';
import { startProgress, type Progress } from '../progress.js';
import type { Run } from '../run.js';
import { note, printJson, printLine, type Terminal } from '../terminal.js';

interface VideoOptions extends OutputOptions, EmbedderOptions {
  readonly data: string;
  readonly tracks: string;
  readonly splits: string;
  readonly frames?: readonly number[];
  readonly aligned?: 'chip' | 'arcface112';
  readonly face: 'central' | 'largest';
  readonly cache?: string;
  readonly html?: string;
}

export function videoEvaluation(run: Run): Command {
  const command = new Command('video')
    .description(
      'Verification of tracks out of videos as on YouTube Faces: the mean distance over all pairs of the first frames with a face; accuracy over the splits with its ' +
        'standard error, VAL at FAR 1e-2 and 1e-3.',
    )
    .option('-d, --data <dir>', 'the data directory whose model packs are used', dataDefault)
    .requiredOption('--tracks <dir>', 'frames: PERSON/TRACK/FRAME.jpg')
    .requiredOption('--splits <file>', "pairs of tracks in the format of YouTube Faces' splits.txt")
    .option('--frames <list>', 'first frames of a track with a face that count (default: 100,1000)', wholeNumbers)
    .addOption(
      new Option('--aligned <how>', "the frames are crops: of the model's chip, or InsightFace's of 112x112").choices([
        'chip',
        'arcface112',
      ]),
    )
    .addOption(
      new Option('--face <which>', 'the face that is meant when a frame shows several')
        .choices(['central', 'largest'])
        .default('central'),
    )
    .option('--cache <file>', 'keep the vectors in this file, so that a second run resumes')
    .option('--html <file>', 'also write a page with the curves (readable by its owner only)');
  describe(
    command,
    [
      'harmonid evaluate video --tracks ./frame_images_DB --splits splits.txt --cache vectors.jsonl',
      'harmonid evaluate video --tracks ./tracks --splits splits.txt --frames 10,100 --json',
    ],
    'With --json: the report, with "figures" ("accuracy", "valAtFar", "threshold", one a frame count) and "tracksWithoutFace".',
  );
  embedderOptions(command);
  return command.action((options: VideoOptions) => run(command, (terminal) => verifyTracks(terminal, options)));
}

async function verifyTracks(terminal: Terminal, options: VideoOptions): Promise<ExitCode> {
  const { tracks, aligned } = options;
  if (!(await isDirectory(tracks))) throw usageError(`no such directory: ${tracks}`);
  const text = await readFile(options.splits, 'utf8').catch(() => {
    throw usageError(`cannot read ${options.splits}`);
  });
  const { parseTrackSplits } = await import('../../evaluate/track-splits.js');
  const { evaluateVideo } = await import('../../evaluate/video.js');
  const splits = parseTrackSplits(text, options.splits);
  let progress: Progress | undefined;
  try {
    const report = await withEmbedder(options, (embedder) =>
      evaluateVideo({
        embedder,
        tracksPath: tracks,
        splits,
        frameCounts: options.frames,
        kind: aligned === undefined ? 'full' : aligned === 'chip' ? 'aligned' : aligned,
        faceChoice: options.face,
        cachePath: options.cache,
        onProgress: (done, total) => (progress ??= startProgress(terminal, total, 'tracks')).reach(done),
        signal: terminal.interrupt,
      }),
    );
    progress?.stop();
    if (options.html !== undefined) {
      // It names people.
      const { renderVideoPage } = await import('../../evaluate/video-page.js');
      await writeFile(options.html, await renderVideoPage(report), { mode: 0o600 });
      note(terminal, `written: ${options.html}`);
    }
    const { formatVideoReport } = await import('../../evaluate/video-table.js');
    if (options.json) printJson(terminal, report);
    else printLine(terminal, formatVideoReport(report));
    return exitCodes.done;
  } finally {
    progress?.stop();
  }
}
