/** `harmonid models`: the model packs of this machine. */
import { Command } from 'commander';
import { defaultPackId } from '../../embedder/model-pack.js';
import type { ModelPack } from '../../embedder/model-pack.js';
import type { ModelStore } from '../../embedder/packs/model-store.js';
import { modelsPathOf } from '../connection.js';
import { exitCodes } from '../failure.js';
import { dataDefault, describe, type OutputOptions } from '../options.js';
import type { Run } from '../run.js';
import { note, painter, printJson, printLine, type Terminal } from '../terminal.js';
import { distanceText, facts, listText, nothing, presentationText, printable, table } from '../wording.js';

interface ModelsOptions extends OutputOptions {
  readonly data: string;
  readonly models?: string;
}

export function modelsCommand(run: Run): Command {
  const command = new Command('models')
    .summary('list, show and add model packs')
    .description(
      'A model pack is a folder with a manifest and ONNX files; it turns faces into vectors of one space. The default pack is built from an npm package on first use.',
    );
  command.addHelpText('after', '\nExamples:\n  $ harmonid models list\n  $ harmonid models add ./my-pack');
  for (const make of [listModelsCommand, showModelCommand, addModelCommand]) command.addCommand(make(run));
  return command;
}

function storeOptions(command: Command): void {
  command
    .option('-d, --data <dir>', 'the data directory whose packs are meant', dataDefault)
    .option('--models <dir>', 'where model packs are kept (default: DATA/models)');
}

async function openStore(options: ModelsOptions): Promise<ModelStore> {
  const { ModelStore } = await import('../../embedder/packs/model-store.js');
  return new ModelStore(modelsPathOf(options));
}

function listModelsCommand(run: Run): Command {
  const command = new Command('list').description('Lists the model packs; those that cannot be used with the reason.');
  storeOptions(command);
  describe(
    command,
    ['harmonid models list', 'harmonid models list --json'],
    'With --json: {"models":[{"id","folder","manifest"|null,"problem"|null}]}.',
  );
  return command.action((options: ModelsOptions) =>
    run(command, async (terminal) => {
      const models = await (await openStore(options)).list();
      if (options.json) {
        printJson(terminal, { models });
        return exitCodes.done;
      }
      const paint = painter(terminal, 'stdout');
      const rows = models.map(({ id, manifest }) => [
        id,
        manifest ? `${manifest.embedding.dimensions}` : nothing,
        manifest ? `${manifest.embedding.input.width}x${manifest.embedding.input.height}` : nothing,
        manifest ? distanceText(manifest.threshold.value) : nothing,
        manifest?.licence.spdx ?? paint('red', 'cannot be used'),
      ]);
      printLine(terminal, table(paint, ['pack', 'dimensions', 'chip', 'threshold', 'licence'], rows));
      for (const { id, problem } of models) if (problem !== null) note(terminal, `${id}: ${printable(problem)}`);
      return exitCodes.done;
    }),
  );
}

function showModelCommand(run: Run): Command {
  const command = new Command('show')
    .description('Shows a model pack, after verifying the digest of every file.')
    .argument('[id]', 'the pack', defaultPackId);
  storeOptions(command);
  describe(
    command,
    ['harmonid models show', 'harmonid models show my-pack --json'],
    'With --json: {"id","folder","manifest"}.',
  );
  return command.action((id: string, options: ModelsOptions) =>
    run(command, async (terminal) => {
      const store = await openStore(options);
      printPack(terminal, await store.open(id), options.json ?? false);
      return exitCodes.done;
    }),
  );
}

function addModelCommand(run: Run): Command {
  const command = new Command('add')
    .description('Copies a model pack into the store, after verifying its manifest and the digest of every file.')
    .argument('<folder>', 'the folder with manifest.json and the ONNX files');
  storeOptions(command);
  describe(command, ['harmonid models add ./my-pack'], 'With --json: {"id","folder","manifest"}.');
  return command.action((folder: string, options: ModelsOptions) =>
    run(command, async (terminal) => {
      const store = await openStore(options);
      const pack = await store.add(folder);
      printPack(terminal, pack, options.json ?? false);
      if (!options.json) note(terminal, `added; use it with --pack ${pack.manifest.id}`);
      return exitCodes.done;
    }),
  );
}

function printPack(terminal: Terminal, { folder, manifest, detection }: ModelPack, json: boolean): void {
  if (json) return printJson(terminal, { id: manifest.id, folder, manifest });
  const { embedding, threshold, licence, presentation } = manifest;
  const { width, height, channels } = embedding.input;
  printLine(
    terminal,
    facts(painter(terminal, 'stdout'), [
      ['pack', manifest.id],
      ['description', manifest.description],
      ['folder', folder],
      ['dimensions', `${embedding.dimensions}${embedding.mirrorAveraging ? ', averaged with the mirrored face' : ''}`],
      ['chip', `${width}x${height} ${channels}, aligned by ${manifest.alignment.kind}`],
      [
        'detectors',
        listText(
          Object.keys(detection.variants).map((name) => (name === detection.default ? `${name} (default)` : name)),
        ),
      ],
      ['threshold', `${distanceText(threshold.value)} (${threshold.source})`],
      ['margin', distanceText(manifest.margin)],
      [
        'presentation',
        presentationText(presentation ? [presentation.threshold.value, presentation.threshold.source] : null),
      ],
      ['licence', licence.spdx],
      ...licence.files.map(({ file, spdx, notes }): [string, string] => ['', `${file}: ${spdx}. ${notes}`]),
    ]),
  );
}
