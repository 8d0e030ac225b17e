/** `harmonid embed`: faces and vectors of a photo, nothing is stored. */
import { Command } from 'commander';
import type { EmbedAnswer } from '../../api.js';
import { withDatabase, withEmbedder } from '../connection.js';
import { exitCodes } from '../failure.js';
import { describe, embedderOptions, targetOptions, type EmbedderOptions, type TargetOptions } from '../options.js';
import { photoName, readPhoto } from '../photos.js';
import type { Run } from '../run.js';
import { note, painter, printJson, printLine, type Paint, type Terminal } from '../terminal.js';
import { counted, listText, nothing, table } from '../wording.js';

interface EmbedOptions extends TargetOptions, EmbedderOptions {
  readonly aligned?: boolean;
}

export function embedCommand(run: Run): Command {
  const command = new Command('embed')
    .summary('print the faces of a photo with quality and vectors')
    .description('Finds the faces of a photo, measures their quality and computes their vectors. Nothing is stored.')
    .argument('<photo>', 'the photo; - reads standard input');
  targetOptions(command);
  command.option('--aligned', "the photo is a crop that is already aligned to the model's chip: nothing is detected");
  describe(
    command,
    [
      'harmonid embed alice.jpg',
      'harmonid embed alice.jpg --json | jq ".faces[0].embedding.vector"',
      'harmonid embed chip.png --aligned --server localhost:50051',
    ],
    'With --json: {"photo","width","height","faces":[{"face":{"box","landmarks","quality"},"embedding":{"space","vector"}}],"timings"}.\nExits 3 when no face was found.',
  );
  embedderOptions(command);
  return command.action((path: string, options: EmbedOptions) =>
    run(command, async (terminal) => {
      const photo = await readPhoto(terminal, path);
      const answer = await embedPhoto(terminal, photo, options);
      if (options.json) printJson(terminal, { photo: photoName(path), ...answer });
      else {
        if (answer.faces.length > 0) printLine(terminal, facesText(painter(terminal, 'stdout'), answer));
        note(
          terminal,
          `${counted(answer.faces.length, 'face')} in ${answer.width}x${answer.height} pixels; --json prints the vectors`,
        );
      }
      return answer.faces.length > 0 ? exitCodes.done : exitCodes.no;
    }),
  );
}

async function embedPhoto(
  { interrupt: signal }: Terminal,
  photo: Uint8Array,
  options: EmbedOptions,
): Promise<EmbedAnswer> {
  if (options.server !== undefined) {
    const request = options.aligned ? { alignedCrop: photo, signal } : { image: photo, signal };
    return withDatabase(options, { images: true, create: false }, (database) => database.embed(request));
  }
  return withEmbedder(options, async (embedder) => {
    const embedded = options.aligned
      ? await embedder.embedAlignedCrop(photo, { signal })
      : await embedder.embedImage(photo, { signal });
    const { space } = embedder.info;
    return { ...embedded, faces: embedded.faces.map(({ face, vector }) => ({ face, embedding: { space, vector } })) };
  });
}

function facesText(paint: Paint, { faces }: EmbedAnswer): string {
  const rows = faces.map(({ face: { box, quality } }, i) => [
    `${i + 1}`,
    `${Math.round(box.width)}x${Math.round(box.height)} at ${Math.round(box.left)},${Math.round(box.top)}`,
    quality.score.toFixed(2),
    quality.measures.detectionScore.toFixed(2),
    quality.measures.eyeDistancePx.toFixed(0),
    quality.measures.yawDegrees.toFixed(0),
    quality.measures.presentationScore?.toFixed(2) ?? nothing,
    listText(quality.reasons),
  ]);
  return table(paint, ['face', 'box', 'quality', 'score', 'eyes px', 'yaw', 'presentation', 'shortcomings'], rows);
}
