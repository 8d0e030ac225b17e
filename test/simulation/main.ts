/**
 * `npm run simulate -- --operations N --seed S [--json] [--no-flips]`: a run of the simulation, its figures, and 1 as exit code when there is a
 * finding. `--flips N` does nothing but flip N bits, each in its own copy of a data file, and tells what came of each kind of page.
 *
 * The same seed and number of operations do the same steps in the same order.
 */
import process, { argv } from 'node:process';
import { parseArgs } from 'node:util';
import type { DamageFinding } from './data-damage.js';
import { sweepFlips } from './flip-sweep.js';
import type { SimulationReport } from './run-state.js';
import { simulate } from './simulation.js';

const { values } = parseArgs({
  args: argv.slice(2),
  options: {
    operations: { type: 'string', default: '20000' },
    seed: { type: 'string' },
    json: { type: 'boolean', default: false },
    flips: { type: 'string' },
    'no-flips': { type: 'boolean', default: false },
  },
});
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
const operations = Number(values.operations);

function recallOf({ recall }: SimulationReport): number {
  return recall.wanted === 0 ? 1 : recall.found / recall.wanted;
}

function verdicts(flips: readonly DamageFinding[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { verdict, page } of flips) counts[`${verdict} ${page}`] = (counts[`${verdict} ${page}`] ?? 0) + 1;
  return Object.fromEntries(Object.entries(counts).toSorted());
}

function print(report: SimulationReport, seconds: number): void {
  const { recall } = report;
  const shown = {
    ...report,
    flips: verdicts(report.flips),
    recall: Number(recallOf(report).toFixed(4)),
    graphSearches: recall.graphSearches,
    checkedTemplates: recall.checkedTemplates,
    missedTemplates: recall.missedTemplates,
    exactSearches: recall.exactSearches,
    seconds: Number(seconds.toFixed(1)),
  };
  const findings = findingsOf(report.flips);
  if (values.json) {
    console.log(JSON.stringify({ ...shown, findings }));
    return;
  }
  for (const [name, figure] of Object.entries(shown)) {
    console.log(`${name.padEnd(16)} ${typeof figure === 'object' ? JSON.stringify(figure) : String(figure)}`);
  }
  for (const finding of findings) console.log(`finding: ${JSON.stringify(finding)}`);
}

function findingsOf(flips: readonly DamageFinding[]): readonly DamageFinding[] {
  return flips.filter(({ verdict }) => verdict !== 'unharmed' && verdict !== 'reported');
}

async function flipOnly(flips: number): Promise<void> {
  const findings = await sweepFlips(seed, flips, (finding) => {
    if (!values.json && findingsOf([finding]).length > 0) console.log(`finding: ${JSON.stringify(finding)}`);
  });
  console.log(JSON.stringify({ seed, flips: verdicts(findings), findings: findingsOf(findings).length }));
  if (findingsOf(findings).length > 0) process.exitCode = 1;
}

async function run(): Promise<void> {
  const report = await simulate({
    seed,
    operations,
    flips: !values['no-flips'],
    onProgress: values.json
      ? undefined
      : (now) => console.log(`${seconds().toFixed(0)} s: ${now.operations} operations, ${now.restartCount} restarts`),
  });
  print(report, seconds());
  if (findingsOf(report.flips).length > 0 || recallOf(report) < 0.95) process.exitCode = 1;
}

if (!values.json) console.log(`seed ${seed}`);
const startedMs = performance.now();
const seconds = (): number => (performance.now() - startedMs) / 1_000;
try {
  if (values.flips === undefined) await run();
  else await flipOnly(Number(values.flips));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  if (error instanceof Error && error.cause instanceof Error) console.error(error.cause.stack);
  process.exitCode = 1;
}
