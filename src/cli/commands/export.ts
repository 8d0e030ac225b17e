/** `harmonid export`: take the templates out. */
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Command } from 'commander';
import type { ExportedTemplate } from '../../api.js';
import { withDatabase } from '../connection.js';
import { exitCodes } from '../failure.js';
import { describe, galleryOption, targetOptions, type GalleryOption, type TargetOptions } from '../options.js';
import type { Run } from '../run.js';
import { note, type Terminal } from '../terminal.js';
import { counted } from '../wording.js';

interface ExportOptions extends TargetOptions, GalleryOption {
  readonly output?: string;
}

export function exportCommand(run: Run): Command {
  const command = new Command('export')
    .summary('write all templates as JSON Lines')
    .description(
      'Writes every template of a gallery with its person: a JSON object a line, people in the order of their ids.',
    );
  targetOptions(command);
  galleryOption(command);
  command.option('-o, --output <file>', 'write to this file (readable by its owner only) in place of standard output');
  describe(
    command,
    [
      'harmonid export -o templates.jsonl',
      'harmonid export --gallery lobby --server localhost:50051 | gzip > lobby.jsonl.gz',
    ],
    `A line: {"gallery","identity","label","groups","attributes","template":{"template","space","origin","quality",
"imageDigest","enrolledAt"},"space","dimensions","vector"}. "vector" is base64 of the unit vector's components as
little-endian float32: 4 x dimensions bytes. Templates are biometric data: keep the file like the faces themselves.`,
  );
  return command.action((options: ExportOptions) =>
    run(command, async (terminal) => {
      const count = await withDatabase(options, { images: false, create: false }, async (database) => {
        const templates = database.exportTemplates({ gallery: options.gallery, signal: terminal.interrupt });
        return options.output === undefined
          ? writeLines(templates, terminal.stdout, false)
          : writeFileWhole(templates, options.output);
      });
      announce(terminal, count, options);
      return exitCodes.done;
    }),
  );
}

function announce(terminal: Terminal, count: number, { output, json }: ExportOptions): void {
  if (!json) note(terminal, `${counted(count, 'template')} exported${output === undefined ? '' : ` to ${output}`}`);
}

/** The file is there when it is whole. */
async function writeFileWhole(templates: AsyncIterable<ExportedTemplate>, path: string): Promise<number> {
  const unfinished = `${path}.part`;
  try {
    const count = await writeLines(templates, createWriteStream(unfinished, { mode: 0o600 }), true);
    await rename(unfinished, path);
    return count;
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
}

async function writeLines(
  templates: AsyncIterable<ExportedTemplate>,
  output: NodeJS.WritableStream,
  end: boolean,
): Promise<number> {
  let count = 0;
  const lines = async function* (): AsyncGenerator<string> {
    for await (const template of templates) {
      count++;
      yield `${JSON.stringify(exportedLine(template))}\n`;
    }
  };
  await pipeline(Readable.from(lines()), output, { end });
  return count;
}

function exportedLine({ embedding, ...about }: ExportedTemplate): object {
  return {
    ...about,
    space: embedding.space,
    dimensions: embedding.vector.length,
    vector: vectorBase64(embedding.vector),
  };
}

/** Little-endian float32, base64. */
export function vectorBase64(vector: ArrayLike<number>): string {
  const bytes = Buffer.alloc(4 * vector.length);
  for (let i = 0; i < vector.length; i++) bytes.writeFloatLE(vector[i] ?? 0, 4 * i);
  return bytes.toString('base64');
}
