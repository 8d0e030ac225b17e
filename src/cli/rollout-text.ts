/** A rollout for people: where it stands, what its fit measured, which gates refuse and what would help. Pure. */
import { isRefusing } from '../migrate/gates.js';
import type { FitReport, Gate, Rollout, RolloutState, RolloutTarget } from '../migrate/rollout.js';
import type { ErrorDetails } from '../errors.js';
import type { Paint, Style } from './terminal.js';
import { counted, distanceText, facts, listText, nothing, printable, table, timeText } from './wording.js';

/** Where it stands, and what comes next. */
export function rolloutText(paint: Paint, rollout: Rollout): string {
  const { gallery, state, from, to } = rollout;
  const line = `gallery ${gallery}: ${stateText(paint, state)}, from ${targetText(from)} to ${targetText(to)}`;
  const next = nextStep(rollout);
  return next === undefined ? line : `${line}\n${paint('dim', 'next:')} ${next}`;
}

/** Everything that is known of it. */
export function statusText(paint: Paint, rollout: Rollout): string {
  const { gallery, state, from, to, startedAt, pairs, fit, templates, canary, shadow, probes, alarm, journal } =
    rollout;
  const { mapped, native, reEmbedded } = templates;
  const there = mapped + native + reEmbedded;
  const rows: [string, string][] = [
    ['gallery', gallery],
    ['state', stateText(paint, state)],
    ['from', spaceText(from)],
    ['to', spaceText(to)],
    ['started', timeText(new Date(startedAt))],
    ['pairs', `${pairs.pairs} of ${counted(pairs.people, 'person', 'people')}`],
    ['fit', fit ? `${fit.chosen}; ${verdictsText(fit.gates)}` : nothing],
    ...erasedRows(rollout),
    [
      'templates',
      `${there} of ${templates.templates} in the new space: ${mapped} mapped, ${native} native, ${reEmbedded} embedded again`,
    ],
  ];
  if (canary) rows.push(['canary', `${percent(canary.share)} of the probes; groups: ${listText(canary.groups)}`]);
  const use = probesText(state, probes);
  if (use !== null) rows.push(['live probes', use]);
  rows.push([
    'shadow',
    `${counted(shadow.compared, 'probe')} compared, ${shadow.bothFound} found in both; ${counted(shadow.negativeFlips, 'negative flip')}, ${counted(shadow.positiveFlips, 'positive flip')}`,
  ]);
  if (shadow.meanOld !== null && shadow.meanNew !== null) {
    rows.push(['distances', `mean ${distanceText(shadow.meanOld)} old, ${distanceText(shadow.meanNew)} new`]);
  }
  if (alarm !== null) rows.push(['alarm', paint('red', printable(alarm))]);
  const entries = journal.map(({ number, at, state, event }) => [
    `${number}`,
    timeText(new Date(at)),
    state,
    printable(event),
  ]);
  const next = nextStep(rollout);
  return [
    facts(paint, rows),
    '',
    table(paint, ['step', 'at', 'state', 'what'], entries),
    ...(next === undefined ? [] : ['', `${paint('dim', 'next:')} ${next}`]),
  ].join('\n');
}

/** All gates, then what would help those that refuse. */
export function gatesText(paint: Paint, gates: readonly Gate[]): string {
  const rows = gates.map((gate) => [
    gate.gate,
    gate.overruled ? paint('yellow', `${gate.verdict}, overruled`) : paint(verdictStyles[gate.verdict], gate.verdict),
    figure(gate.value),
    gate.interval ? `${figure(gate.interval[0])} to ${figure(gate.interval[1])}` : nothing,
    figure(gate.wanted),
    printable(gate.message),
  ]);
  const advice = gates
    .filter(isRefusing)
    .filter(({ remedy }) => remedy !== '')
    .map(({ gate, remedy }) => `\n${paint('dim', `${gate}:`)} ${printable(remedy)}`);
  return `${table(paint, ['gate', 'verdict', 'value', '95 %', 'wanted', 'found'], rows)}${advice.join('')}`;
}

/** The figures of a fit; the curves are for a page. */
export function reportText(paint: Paint, report: FitReport): string {
  const { gallery, chosen, far, val, updateGain, forward, scores, cells, gates, lost } = report;
  const summary = facts(paint, [
    ['gallery', gallery],
    ['adapter', `${chosen}, from ${forward.pairs} pairs of ${counted(forward.people, 'person', 'people')}`],
    ['spaces', `${forward.fromSpace} to ${forward.toSpace}`],
    [`VAL @ FAR ${far.toExponential()}`, `${percent(val.old)} staying, ${percent(val.mapped)} mapped`],
    ['', `${percent(val.fused)} fused, ${percent(val.new)} with photos again`],
    ['update gain', updateGain === null ? nothing : updateGain.toFixed(2)],
    ['people lost', lostText(lost)],
  ]);
  const estimators = scores.map(({ name, val, fnir, behindBest, standardError }) => [
    name === chosen ? paint('bold', name) : name,
    percent(val),
    percent(fnir),
    `${percent(behindBest)} ± ${percent(standardError)}`,
  ]);
  const thresholds = cells.map(({ probe, template, threshold, comparisons, support }) => [
    probe,
    template,
    support === 'measured' ? distanceText(threshold) : support,
    `${comparisons}`,
  ]);
  return [
    summary,
    gatesText(paint, gates),
    table(paint, ['estimator', 'VAL', 'FNIR', 'behind the best'], estimators),
    table(paint, ['probe', 'template', 'threshold', 'impostors'], thresholds),
  ].join('\n\n');
}

/** Gates that speak against it, as a refusal carries them; none when it carries none. */
export function refusedGateLines({ gates }: ErrorDetails): readonly string[] {
  if (!Array.isArray(gates)) return [];
  return gates.filter(isGate).flatMap(({ gate, message, remedy, value, wanted }) => {
    const figures = value === null || value === undefined ? '' : ` (value ${figure(value)}, wanted ${figure(wanted)})`;
    return [`${gate}: ${printable(message)}${figures}`, ...(remedy ? [`  ${printable(remedy)}`] : [])];
  });
}

type RefusedGate = Pick<Gate, 'gate' | 'message'> & Partial<Gate>;

/** Details are anybody's JSON. */
function isGate(value: unknown): value is RefusedGate {
  if (typeof value !== 'object' || value === null) return false;
  const { gate, message, remedy, ...figures } = value as Record<string, unknown>;
  return (
    [gate, message, remedy ?? ''].every((text) => typeof text === 'string') &&
    [figures['value'], figures['wanted']].every((number) => typeof (number ?? 0) === 'number')
  );
}

const verdictStyles = {
  passed: 'green',
  refused: 'red',
  'not-measurable': 'yellow',
  'not-applicable': 'dim',
} as const satisfies Record<Gate['verdict'], Style>;

const stateStyles: Partial<Record<RolloutState, Style>> = {
  fitted: 'red',
  gated: 'green',
  active: 'green',
  complete: 'green',
  'rolled-back': 'yellow',
};

function stateText(paint: Paint, state: RolloutState): string {
  return paint(stateStyles[state] ?? 'bold', state);
}

/** The command that goes on; nothing when there is no more to do. */
function nextStep({ gallery, state, pairs }: Rollout): string | undefined {
  const command = (step: string, options = ''): string => `\`harmonid rollout ${step} ${gallery}${options}\``;
  switch (state) {
    case 'draft':
      return pairs.pairs === 0
        ? `${command('pairs', ' --images DIR')}, or ${command('probes', ' --collect-pairs')}`
        : command('fit');
    case 'fitted':
      return `more pairs and another fit, or ${command('shadow', ' --overrule GATE')}`;
    case 'gated':
      return command('shadow');
    case 'shadow':
      return `${command('canary', ' --share 0.1')}, or ${command('activate')}`;
    case 'canary':
      return command('activate');
    case 'active':
      return `${command('backfill', ' --images DIR')}, and in the end ${command('complete')}`;
    case 'completing':
    case 'complete':
    case 'rolled-back':
      return undefined;
  }
}

/** Who was erased is out of the pairs; out of an adapter only by another fit. */
function erasedRows({ state, erasedSinceFit }: Rollout): readonly [string, string][] {
  if (erasedSinceFit === 0) return [];
  const way = ['fitted', 'gated'].includes(state) ? 'another fit' : 'a rollback, another start and another fit';
  return [['erased', `${counted(erasedSinceFit, 'person', 'people')} of this fit since; ${way} takes them out of it`]];
}

/** Null where none is used: there is nothing to compare, and none is kept. */
function probesText(state: RolloutState, { share, retentionDays }: Rollout['probes']): string | null {
  const isCompared = ['shadow', 'canary', 'active'].includes(state);
  const isKept = retentionDays !== null && !['completing', 'complete', 'rolled-back'].includes(state);
  if (!isCompared && !isKept) return null;
  const kept = retentionDays === null ? 'none is kept' : `kept as pairs for ${counted(retentionDays, 'day')}`;
  return `${percent(share)} through both models, ${kept}`;
}

function targetText({ pack, space }: RolloutTarget): string {
  return pack ?? space;
}

function spaceText({ pack, space, dimensions }: RolloutTarget): string {
  return `${pack === null ? '' : `${pack}: `}${space}, ${dimensions} dimensions`;
}

function verdictsText(gates: readonly Gate[]): string {
  const refused = gates.filter(isRefusing).map(({ gate }) => gate);
  const overruled = gates.filter((gate) => gate.overruled).map(({ gate }) => gate);
  const parts = [
    refused.length === 0 ? 'no gate refuses' : `refused by ${refused.join(', ')}`,
    ...(overruled.length === 0 ? [] : [`overruled: ${overruled.join(', ')}`]),
  ];
  return parts.join('; ');
}

function lostText(lost: FitReport['lost']): string {
  if (lost.length === 0) return 'nobody';
  const shown = lost
    .slice(0, 5)
    .map(
      ({ person, lost, searches }) => `${printable(person)} (${lost} of ${counted(searches, 'search', 'searches')})`,
    );
  return `${shown.join(', ')}${lost.length > 5 ? ` and ${lost.length - 5} more` : ''}`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** Four digits: gates compare rates, counts and distances. */
function figure(value: number | null | undefined): string {
  return value === null || value === undefined ? nothing : `${Number(value.toPrecision(4))}`;
}
