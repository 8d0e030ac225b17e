/** From answers about rollouts to the wire's. Total: whatever the database answers can be sent. */
import type {
  AdapterManifest,
  FitCurve,
  FitReport,
  FitSummary,
  Gate,
  JournalEntry,
  Rollout,
  RolloutProgress,
  RolloutTarget,
  ThresholdCell,
} from '../migrate/rollout.js';
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

export function formatRollout(rollout: Rollout): wire.Rollout {
  const { state, from, to, startedAt, fit, canary, shadow, probes, alarm, journal } = rollout;
  return {
    ...rollout,
    state: rolloutStateNumbers[state],
    from: formatTarget(from),
    to: formatTarget(to),
    startedAt: new Date(startedAt),
    fit: fit ? formatFit(fit) : undefined,
    canary: canary ? { ...canary, groups: [...canary.groups] } : undefined,
    shadow: { ...shadow, meanOld: shadow.meanOld ?? undefined, meanNew: shadow.meanNew ?? undefined },
    probes: { ...probes, retentionDays: probes.retentionDays ?? undefined },
    alarm: alarm ?? undefined,
    journal: journal.map(formatJournalEntry),
  };
}

export function formatReport(report: FitReport): wire.FitReport {
  const { gallery, curves, lost, calibration } = report;
  return {
    gallery,
    summary: formatFit(report),
    curves: curves.map(formatCurve),
    lost: [...lost],
    calibration: formatPoints(calibration),
  };
}

export function formatProgress(progress: RolloutProgress): wire.RolloutProgress {
  return { ...progress, stage: rolloutStages[progress.stage] };
}

function formatTarget(target: RolloutTarget): wire.RolloutTarget {
  return { ...target, pack: target.pack ?? undefined };
}

function formatJournalEntry(entry: JournalEntry): wire.JournalEntry {
  return { ...entry, at: new Date(entry.at), state: rolloutStateNumbers[entry.state] };
}

function formatFit(fit: FitSummary): wire.FitSummary {
  const { forward, backward, scores, chosen, far, val, updateGain, fusion, cells, gates } = fit;
  return {
    forward: formatManifest(forward),
    backward: formatManifest(backward),
    scores: [...scores],
    chosen,
    far,
    val,
    updateGain: updateGain ?? undefined,
    fusion,
    cells: cells.map(formatCell),
    gates: gates.map(formatGate),
  };
}

function formatManifest(manifest: AdapterManifest): wire.AdapterManifest {
  return { ...manifest, fittedAt: new Date(manifest.fittedAt) };
}

function formatCell(cell: ThresholdCell): wire.ThresholdCell {
  const { probe, template, support } = cell;
  return {
    ...cell,
    probe: probeOrigins[probe],
    template: cellTemplates[template],
    support: cellSupports[support],
  };
}

function formatGate(gate: Gate): wire.Gate {
  const { value, interval, wanted } = gate;
  return {
    ...gate,
    gate: gateNumbers[gate.gate],
    verdict: gateVerdicts[gate.verdict],
    value: value ?? undefined,
    interval: interval ? { low: interval[0], high: interval[1] } : undefined,
    wanted: wanted ?? undefined,
  };
}

function formatCurve(curve: FitCurve): wire.FitCurve {
  return {
    ...curve,
    row: curveRows[curve.row],
    roc: formatPoints(curve.roc),
    det: formatPoints(curve.det),
    genuineHistogram: [...curve.genuineHistogram],
    impostorHistogram: [...curve.impostorHistogram],
  };
}

function formatPoints(points: FitCurve['roc']): wire.CurvePoint[] {
  return points.map(([x, y]) => ({ x, y }));
}
