/** `npm run soak`: loads a server for a while and tells what came of it. Exits 1 when anything grew, leaked, was wrong or was lost. */
import { HarmonidError } from '../../src/errors.js';
import { runSeeded } from '../support/seeded-run.js';
import { runSoak, type SoakReport } from './soak.js';

const usage = `npm run soak -- [--minutes N] [--seed S] [--json]

Serves a data directory with \`harmonid serve\` and loads it steadily with all kinds of calls: enrolments, identifications, verifications and erasures by image
and by vector, imports, exports, streams that come and go, calls that are cancelled, clients that vanish. As many people are erased as are enrolled. Prints
memory, descriptors, threads and calls in flight, then drains the server in the middle of the load, opens its directory again, and looks for everybody
who was acknowledged. Reads /proc, so it wants Linux.

  --minutes N   of load (default 20; a fraction is allowed)
  --seed S      of what is asked (default: a new one, printed)
  --json        the report as one line of JSON

Exits 1 when memory grew, a handle leaked, an answer was wrong or lost, or somebody was.
`;

function formatReport({
  minutes,
  errands,
  refused,
  acknowledged,
  erased,
  memory,
  drainMs,
  drainedInFlight,
  turnedAway,
  faults,
}: SoakReport): string {
  const lines = [
    `${minutes} minutes: ${errands} errands done, ${refused} refused; ${acknowledged} people acknowledged, ${erased} of them erased`,
    memory
      ? `memory: the floor rises by ${memory.riseMiB} MiB (${memory.perHourMiB} an hour), ${memory.allowedMiB} are allowed`
      : 'memory: not judged, less than five minutes',
    `drained with ${drainedInFlight} calls in flight in ${drainMs} ms, ${turnedAway} lanes were turned away`,
    faults.length === 0 ? 'nothing grew, leaked, was wrong or was lost' : `${faults.length} faults:`,
    ...faults,
  ];
  return `${lines.join('\n')}\n`;
}

/** A fraction is allowed; a week at most. */
function parseMinutes(text: string | undefined): number {
  const minutes = Number(text);
  if (!(minutes > 0 && minutes <= 10_080)) {
    throw new HarmonidError(
      'INVALID_ARGUMENT',
      `--minutes takes a number above 0, a week at most, found "${text ?? ''}"`,
    );
  }
  return minutes;
}

await runSeeded({
  usage,
  words: { minutes: '20' },
  parse: ({ minutes }, seed) => ({ minutes: parseMinutes(minutes), seed }),
  run: runSoak,
  format: formatReport,
  isClean: ({ faults }) => faults.length === 0,
});
