/** `harmonid evaluate video`: YouTube Faces' protocol on tracks and a list of splits. */
import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { withEmbedder } from '../connection.js';
import { isDirectory } from '../directories.js';
import {
  alignedOption,
  dataOption,
  faceOption,
  fileOptions,
  kindOf,
  printReport,
  withProgress,
  type Alignment,
  type EvaluationOptions,
} from '../evaluation.js';
import { exitCodes, usageError, type ExitCode } from '../failure.js';
import { describe, embedderOptions, wholeNumbers, type EmbedderOptions } from '../options.js';
import type { Run } from '../run.js';
import type { Terminal } from '../terminal.js';

interface VideoOptions extends EvaluationOptions, EmbedderOptions {
  readonly tracks: string;
  readonly splits: string;
  readonly frames?: readonly number[];
  readonly aligned?: Alignment;
}

export function videoEvaluation(run: Run): Command {
  const command = new Command('video').description(
    'Verification of tracks out of videos as on YouTube Faces: the mean distance over all pairs of the first frames with a face; accuracy over the splits with its ' +
      'standard error, VAL at FAR 1e-2 and 1e-3.',
  );
  dataOption(command)
    .requiredOption('--tracks <dir>', 'frames: PERSON/TRACK/FRAME.jpg')
    .requiredOption('--splits <file>', "pairs of tracks in the format of YouTube Faces' splits.txt")
    .option('--frames <list>', 'first frames of a track with a face that count (default: 100,1000)', wholeNumbers);
  alignedOption(command, 'frame');
  faceOption(command, 'the face that is meant when a frame shows several');
  fileOptions(command);
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
  const report = await withProgress(terminal, 'tracks', (onProgress) =>
    withEmbedder(options, (embedder) =>
      evaluateVideo({
        embedder,
        tracksPath: tracks,
        splits,
        frameCounts: options.frames,
        kind: kindOf(aligned),
        faceChoice: options.face,
        cachePath: options.cache,
        onProgress,
        signal: terminal.interrupt,
      }),
    ),
  );
  const { formatVideoReport } = await import('../../evaluate/video-table.js');
  await printReport(terminal, options, report, {
    table: () => formatVideoReport(report),
    page: async () => (await import('../../evaluate/video-page.js')).renderVideoPage(report),
  });
  return exitCodes.done;
}
