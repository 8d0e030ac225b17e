/** `harmonid config`: what a server would run with, before it does. */
import { Command } from 'commander';
import type { EffectiveConfiguration, Setting } from '../../config/configuration.js';
import { originText } from '../../config/origin.js';
import { configurationJsonSchema } from '../../config/schema.js';
import { configurationOf, serverModelOptions, serverOptions } from '../configuration.js';
import { exitCodes } from '../failure.js';
import { describe, type OutputOptions } from '../options.js';
import type { Run } from '../run.js';
import { painter, printJson, printLine, type Paint } from '../terminal.js';
import { counted, printable, table } from '../wording.js';

export function configCommand(run: Run): Command {
  const command = new Command('config')
    .summary('check and print the configuration of a server')
    .description(
      'The configuration of `harmonid serve`: a file in YAML (--config, or HARMONID_CONFIG), which variables (HARMONID_LOG_LEVEL for log.level) and options override.',
    );
  command.addHelpText(
    'after',
    '\nExamples:\n  $ harmonid config check --config harmonid.yaml\n  $ harmonid config print',
  );
  return command.addCommand(checkCommand(run)).addCommand(printCommand(run)).addCommand(schemaCommand(run));
}

function checkCommand(run: Run): Command {
  const command = serverOptions(
    new Command('check')
      .summary('tell everything that is wrong with a configuration')
      .description(
        'Reads the configuration as `harmonid serve` would, with the environment and the options, and starts nothing. Every error is told with its place. Whether files and folders are there is not looked at.',
      ),
  );
  describe(
    command,
    ['harmonid config check --config harmonid.yaml', 'HARMONID_LOG_LEVEL=debug harmonid config check'],
    'With --json: {"file"|null,"keyCount","setCount"}; errors are in error.details.problems.',
  );
  serverModelOptions(command);
  return command.action((options: OutputOptions) =>
    run(command, async (terminal) => {
      const { file, settings } = await configurationOf(command, terminal);
      const keyCount = settings.length;
      const setCount = settings.filter(({ origin }) => origin.kind !== 'default').length;
      if (options.json) printJson(terminal, { file, keyCount, setCount });
      else printLine(terminal, `${fileText(file)}: nothing is wrong; ${setCount} of ${counted(keyCount, 'key')} set`);
      return exitCodes.done;
    }),
  );
}

function printCommand(run: Run): Command {
  const command = serverOptions(
    new Command('print')
      .summary('print the value of every key and where it comes from')
      .description(
        'Prints what `harmonid serve` would run with, given the same file, environment and options: the value of every key, and whether it is the default, or which line, variable or option says so. Of a secret it tells only whether it is set.',
      ),
  );
  describe(
    command,
    ['harmonid config print --config harmonid.yaml', 'harmonid config print --listen 0.0.0.0:50051 --json'],
    'With --json: {"file"|null,"settings":[{"key","value"|null,"origin":{"kind":"default"|"file"|"variable"|"flag",…}}]};\nof a secret "set": true or false, in place of "value".',
  );
  serverModelOptions(command);
  return command.action((options: OutputOptions) =>
    run(command, async (terminal) => {
      const configuration = await configurationOf(command, terminal);
      if (options.json) printJson(terminal, configurationJson(configuration));
      else printLine(terminal, configurationText(painter(terminal, 'stdout'), configuration));
      return exitCodes.done;
    }),
  );
}

function schemaCommand(run: Run): Command {
  const command = new Command('schema')
    .summary('print the JSON Schema of a configuration file')
    .description('Prints the JSON Schema of a configuration file, with which editors check and complete it.');
  describe(
    command,
    ['harmonid config schema > harmonid.schema.json'],
    'With "# yaml-language-server: $schema=harmonid.schema.json" as the first line of the file, editors find it.',
  );
  return command.action(() =>
    run(command, async (terminal) => {
      printJson(terminal, configurationJsonSchema());
      return exitCodes.done;
    }),
  );
}

function fileText(file: string | null): string {
  return file === null ? 'no configuration file' : printable(file);
}

function configurationText(paint: Paint, { file, settings }: EffectiveConfiguration): string {
  const rows = settings.map((setting) => [setting.key.name, valueText(setting), printable(originText(setting.origin))]);
  return `${fileText(file)}\n\n${table(paint, ['key', 'value', 'from'], rows)}`;
}

function valueText({ key, value }: Setting): string {
  if (key.isSecret) return value === undefined ? 'not set' : 'set';
  if (value === undefined) return `not set: ${key.unset ?? ''}`;
  return printable(typeof value === 'string' ? value : JSON.stringify(value));
}

function configurationJson({ file, settings }: EffectiveConfiguration): object {
  return {
    file,
    settings: settings.map(({ key, value, origin }) => ({
      key: key.name,
      ...(key.isSecret ? { set: value !== undefined } : { value: value ?? null }),
      origin,
    })),
  };
}
