/** From answers about rollouts on the wire to the API's. What an answer must have and lacks is an error of the server: INTERNAL. */
import type {
  AdapterManifest,
  BackfillResult,
  FitCurve,
  FitReport,
  FitSummary,
  Gate,
  JournalEntry,
  PairResult,
  Rollout,
  RolloutProgress,
  RolloutTarget,
  ThresholdCell,
} from '../migrate/rollout.js';
import { errorOfWire } from '../wire/error-status.js';
import type * as wire from '../wire/harmonid/v1/rollout.js';
import {
  cellSupports,
  cellTemplates,
  curveRows,
  gateNumbers,
  gateVerdicts,
  probeOrigins,
  rolloutStages,
  rolloutStateNumbers,
} from '../wire/rollout-enums.js';
import { named, present } from './parse.js';

export function parseRollout(given: wire.Rollout | undefined): Rollout {
  const rollout = present(given, 'rollout');
  const shadow = present(rollout.shadow, 'shadow');
  const probes = present(rollout.probes, 'probes');
  return {
    ...rollout,
    state: named(rolloutStateNumbers, rollout.state, 'state'),
    from: parseTarget(rollout.from),
    to: parseTarget(rollout.to),
    startedAt: parseTime(rollout.startedAt, 'started_at'),
    pairs: present(rollout.pairs, 'pairs'),
    fit: rollout.fit ? parseFit(rollout.fit) : null,
    templates: present(rollout.templates, 'templates'),
    canary: rollout.canary ?? null,
    shadow: { ...shadow, meanOld: shadow.meanOld ?? null, meanNew: shadow.meanNew ?? null },
    probes: { ...probes, retentionDays: probes.retentionDays ?? null },
    alarm: rollout.alarm ?? null,
    journal: rollout.journal.map(parseJournalEntry),
  };
}

export function parseReport(given: wire.FitReport | undefined): FitReport {
  const { gallery, summary, curves, lost, calibration } = present(given, 'report');
  return {
    ...parseFit(present(summary, 'summary')),
    gallery,
    curves: curves.map(parseCurve),
    lost,
    calibration: parsePoints(calibration),
  };
}

export function parseProgress(progress: wire.RolloutProgress): RolloutProgress {
  return { ...progress, stage: named(rolloutStages, progress.stage, 'stage') };
}

export function parsePairResult({ index, result }: wire.AddRolloutPairsResponse): PairResult {
  const { $case, value } = present(result, 'result');
  return $case === 'added' ? { index, added: value } : { index, error: errorOfWire(value) };
}

export function parseBackfillResult({ index, identity, result }: wire.BackfillRolloutResponse): BackfillResult {
  const { $case, value } = present(result, 'result');
  return $case === 'replaced' ? { index, identity, replaced: value } : { index, identity, error: errorOfWire(value) };
}

function parseTarget(given: wire.RolloutTarget | undefined): RolloutTarget {
  const target = present(given, 'from or to');
  return { ...target, pack: target.pack ?? null };
}

function parseJournalEntry(entry: wire.JournalEntry): JournalEntry {
  return { ...entry, at: parseTime(entry.at, 'at'), state: named(rolloutStateNumbers, entry.state, 'state') };
}

function parseFit(fit: wire.FitSummary): FitSummary {
  return {
    ...fit,
    forward: parseManifest(fit.forward),
    backward: parseManifest(fit.backward),
    val: present(fit.val, 'val'),
    updateGain: fit.updateGain ?? null,
    fusion: present(fit.fusion, 'fusion'),
    cells: fit.cells.map(parseCell),
    gates: fit.gates.map(parseGate),
  };
}

function parseManifest(given: wire.AdapterManifest | undefined): AdapterManifest {
  const manifest = present(given, 'an adapter');
  return { ...manifest, fittedAt: parseTime(manifest.fittedAt, 'fitted_at') };
}

function parseCell(cell: wire.ThresholdCell): ThresholdCell {
  return {
    ...cell,
    probe: named(probeOrigins, cell.probe, 'probe'),
    template: named(cellTemplates, cell.template, 'template'),
    support: named(cellSupports, cell.support, 'support'),
  };
}

function parseGate(gate: wire.Gate): Gate {
  const { interval } = gate;
  return {
    ...gate,
    gate: named(gateNumbers, gate.gate, 'gate'),
    verdict: named(gateVerdicts, gate.verdict, 'verdict'),
    value: gate.value ?? null,
    interval: interval ? [interval.low, interval.high] : null,
    wanted: gate.wanted ?? null,
  };
}

function parseCurve(curve: wire.FitCurve): FitCurve {
  return {
    ...curve,
    row: named(curveRows, curve.row, 'row'),
    roc: parsePoints(curve.roc),
    det: parsePoints(curve.det),
  };
}

function parsePoints(points: readonly wire.CurvePoint[]): FitCurve['roc'] {
  return points.map(({ x, y }) => [x, y]);
}

function parseTime(time: Date | undefined, field: string): number {
  return present(time, field).getTime();
}
