/**
 * A day at a door: `npm run example:door`. With the name of a folder as its argument it leaves everything there, the log of decisions included.
 *
 * Starts a server with TLS and keys, enrols people, plays what the cameras saw, one visit after the other, and prints what the door did.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Table from 'cli-table3';
import { connectDatabase } from 'harmonid/client';
import { startSecuredServer, type SecuredServer } from '../../test/support/secured-server.js';
import { DecisionLog, parseLines, verdictText, type DecisionLine } from './decision-log.js';
import { Door, type Camera } from './door.js';
import { Recording } from './recording.js';
import { day, enrolEverybody, record, rules, type Visit } from './stage.js';

const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function main(): Promise<void> {
  const [, , kept] = process.argv;
  const folder = kept ?? (await mkdtemp(join(tmpdir(), 'harmonid-door-')));
  try {
    await liveADay(folder);
  } finally {
    if (kept === undefined) await rm(folder, { recursive: true, force: true });
  }
}

async function liveADay(folder: string): Promise<void> {
  say('Starting a server with TLS and keys; the first run also writes the model pack as ONNX …');
  const server = await startSecuredServer(folder);
  const { address, ca, keys } = server;
  const desk = connectDatabase({ address, tls: { ca }, apiKey: keys.enroller });
  const atDoor = connectDatabase({ address, tls: { ca }, apiKey: keys.door });
  const logPath = join(folder, 'decisions.jsonl');
  const log = await DecisionLog.open(logPath);
  let [openings, interruptions] = [0, 0];
  const door = new Door({
    name: 'north',
    database: atDoor,
    gallery: 'default',
    rules,
    log,
    relay: async () => void openings++,
    onBlind: () => interruptions++,
  });
  try {
    await enrolEverybody(desk);
    const table = new Table({
      head: ['time', 'side', 'what happens', 'frames', 'decision', 'who'],
      style: { compact: true, head: [], border: [] },
    });
    let told = 0;
    for (const [number, visit] of day.entries()) {
      const camera = new Recording(await record(visit, join(folder, `visit-${number + 1}`)));
      await door.watch(visit.restarts === true ? restarting(camera, server) : camera, visit.direction);
      const lines = parseLines(await readFile(logPath, 'utf8'));
      table.push(...rowsOf(visit, lines.slice(told)));
      told = lines.length;
    }
    say(table.toString());
    say(
      `\nThe relay opened ${openings} times. Inside: ${[...log.inside].join(', ')}. The stream was interrupted ${interruptions > 0 ? 'and went on' : 'never'}.`,
    );
  } finally {
    await log.close();
    await atDoor.close();
    await desk.close();
    await server.close();
  }
}

/** Stops the server after the first frame, lets the camera go on, and starts the server again. */
function restarting(recording: Recording, server: SecuredServer): Camera {
  const restart = async (): Promise<void> => {
    await server.stop();
    recording.answered();
    await server.start();
  };
  return {
    [Symbol.asyncIterator]: () => recording[Symbol.asyncIterator](),
    answered: (sequence) => {
      if (sequence === 0) void restart();
      else recording.answered();
    },
  };
}

function rowsOf({ name, direction, startsAt, shows }: Visit, lines: readonly DecisionLine[]): string[][] {
  const time = (at: Date): string => at.toTimeString().slice(0, 8);
  const visit = [direction, name, String(shows.length)];
  if (lines.length === 0) return [[time(startsAt), ...visit, '-', '-']];
  return lines.map((line) => [time(new Date(line.at)), ...visit, verdictText(line), line.identity ?? 'not enrolled']);
}

await main();
