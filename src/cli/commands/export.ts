/** `harmonid export`: take the templates out. */
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Command, Option } from 'commander';
import type { ExportedTemplate } from '../../api.js';
import { encodeTemplate, templateFormats, type TemplateFormat } from '../../template-file.js';
import { withDatabase } from '../connection.js';
import { exitCodes, usageError } from '../failure.js';
import { describe, galleryOption, targetOptions, type GalleryOption, type TargetOptions } from '../options.js';
import type { Run } from '../run.js';
import { note, type Terminal } from '../terminal.js';
import { counted } from '../wording.js';

interface ExportOptions extends TargetOptions, GalleryOption {
  readonly output?: string;
  readonly format: TemplateFormat;
}

export function exportCommand(run: Run): Command {
  const command = new Command('export')
    .summary('write all templates as JSON Lines or protobuf')
    .description(
      'Writes every template of a gallery with its person, people in the order of their ids. `harmonid import --templates` enrolls them again; so can any program: both formats are documented.',
    );
  targetOptions(command);
  galleryOption(command);
  command.option('-o, --output <file>', 'write to this file (readable by its owner only) in place of standard output');
  command.addOption(
    new Option('--format <format>', 'a JSON object a line, or length-delimited protobuf')
      .choices(templateFormats)
      .default('jsonl'),
  );
  describe(
    command,
    [
      'harmonid export -o templates.jsonl',
      'harmonid export --format binary -o templates.bin',
      'harmonid export --gallery lobby --server localhost:50051 | gzip > lobby.jsonl.gz',
    ],
    `jsonl, a line: {"gallery","identity","label","groups","attributes","template":{"template","space","origin","quality",
"imageDigest","enrolledAt"},"space","dimensions","vector"}. "vector" is base64 of the unit vector's components as
little-endian float32: 4 x dimensions bytes.
binary: messages harmonid.v1.ExportTemplatesResponse (proto/harmonid/v1/admin.proto), each after its length as a varint, as
parseDelimitedFrom of Java and C# reads them. A person without templates is in neither. Templates are biometric data: keep the file like the faces themselves.`,
  );
  return command.action((options: ExportOptions) =>
    run(command, async (terminal) => {
      if (options.format === 'binary' && options.output === undefined && terminal.stdout.isTTY)
        throw usageError('bytes are no text for a terminal: name a file with --output, or pipe them');
      const count = await withDatabase(options, { images: false, create: false }, async (database) => {
        const templates = database.exportTemplates({ gallery: options.gallery, signal: terminal.interrupt });
        return options.output === undefined
          ? writeTemplates(templates, options.format, terminal.stdout, false)
          : writeFileWhole(templates, options.format, options.output);
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
async function writeFileWhole(
  templates: AsyncIterable<ExportedTemplate>,
  format: TemplateFormat,
  path: string,
): Promise<number> {
  const unfinished = `${path}.part`;
  try {
    const count = await writeTemplates(templates, format, createWriteStream(unfinished, { mode: 0o600 }), true);
    await rename(unfinished, path);
    return count;
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
}

async function writeTemplates(
  templates: AsyncIterable<ExportedTemplate>,
  format: TemplateFormat,
  output: NodeJS.WritableStream,
  end: boolean,
): Promise<number> {
  let count = 0;
  const encoded = async function* (): AsyncGenerator<Buffer> {
    for await (const template of templates) {
      count++;
      yield encodeTemplate(format, template);
    }
  };
  await pipeline(Readable.from(encoded()), output, { end });
  return count;
}
