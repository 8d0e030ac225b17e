/** The words of rollouts beside the numbers of the wire, one table an enum, as `enums.ts` has them for everything else. */
import type { FitCurve, Gate, GateName as GateWord, RolloutProgress } from '../migrate/rollout.js';
import type { RolloutState as RolloutStateName, ThresholdCell } from '../migrate/rollout.js';
import {
  CellSupport,
  CellTemplate,
  CurveRow,
  GateName,
  GateVerdict,
  ProbeOrigin,
  RolloutStage,
  RolloutState,
} from './harmonid/v1/rollout.js';

export const rolloutStateNumbers = {
  draft: RolloutState.DRAFT,
  fitted: RolloutState.FITTED,
  gated: RolloutState.GATED,
  shadow: RolloutState.SHADOW,
  canary: RolloutState.CANARY,
  active: RolloutState.ACTIVE,
  completing: RolloutState.COMPLETING,
  complete: RolloutState.COMPLETE,
  'rolled-back': RolloutState.ROLLED_BACK,
} as const satisfies Record<RolloutStateName, RolloutState>;

export const rolloutStages = {
  pairs: RolloutStage.PAIRS,
  select: RolloutStage.SELECT,
  fit: RolloutStage.FIT,
  gates: RolloutStage.GATES,
  map: RolloutStage.MAP,
  embed: RolloutStage.EMBED,
  clear: RolloutStage.CLEAR,
} as const satisfies Record<RolloutProgress['stage'], RolloutStage>;

export const gateNumbers = {
  'enough-people': GateName.ENOUGH_PEOPLE,
  compatibility: GateName.COMPATIBILITY,
  calibration: GateName.CALIBRATION,
  identification: GateName.IDENTIFICATION,
  'negative-flips': GateName.NEGATIVE_FLIPS,
  collapse: GateName.COLLAPSE,
  belonging: GateName.BELONGING,
  groups: GateName.GROUPS,
} as const satisfies Record<GateWord, GateName>;

export const gateVerdicts = {
  passed: GateVerdict.PASSED,
  refused: GateVerdict.REFUSED,
  'not-measurable': GateVerdict.NOT_MEASURABLE,
  'not-applicable': GateVerdict.NOT_APPLICABLE,
} as const satisfies Record<Gate['verdict'], GateVerdict>;

export const probeOrigins = {
  old: ProbeOrigin.OLD,
  new: ProbeOrigin.NEW,
  'mapped-back': ProbeOrigin.MAPPED_BACK,
} as const satisfies Record<ThresholdCell['probe'], ProbeOrigin>;

export const cellTemplates = {
  old: CellTemplate.OLD,
  native: CellTemplate.NATIVE,
  mapped: CellTemplate.MAPPED,
} as const satisfies Record<ThresholdCell['template'], CellTemplate>;

export const cellSupports = {
  measured: CellSupport.MEASURED,
  'not-measurable': CellSupport.NOT_MEASURABLE,
} as const satisfies Record<ThresholdCell['support'], CellSupport>;

export const curveRows = {
  old: CurveRow.OLD,
  mapped: CurveRow.MAPPED,
  fused: CurveRow.FUSED,
  new: CurveRow.NEW,
} as const satisfies Record<FitCurve['row'], CurveRow>;
