/** What the commands of `harmonid rollout` have in common. */
import { Command } from 'commander';
import type { Rollout } from '../../api.js';
import { targetOptions } from '../options.js';
import { rolloutText } from '../rollout-text.js';
import { painter, printJson, printLine, type Paint, type Terminal } from '../terminal.js';

export const rolloutJson =
  'With --json: the rollout, {"gallery","state","from","to","startedAt","pairs","fit","templates","canary","shadow","probes","erasedSinceFit","alarm","journal"}.';

/** A command on the rollout of one gallery, on a directory or a server. */
export function stepCommand(name: string, description: string): Command {
  return targetOptions(new Command(name).description(description).argument('<gallery>', 'the gallery'));
}

export function printRollout(
  terminal: Terminal,
  rollout: Rollout,
  json: boolean | undefined,
  text: (paint: Paint, rollout: Rollout) => string = rolloutText,
): void {
  if (json) printJson(terminal, rollout);
  else printLine(terminal, text(painter(terminal, 'stdout'), rollout));
}
