/**
 * The words of the API beside the numbers of the wire, one table an enum.
 *
 * The compiler holds every table complete on the API's side. UNSPECIFIED is in no table: what it means is said where a request is
 * parsed. A number that is in no table was sent by a newer peer.
 */
import type { Decision as DecisionName, DuplicatePolicy as DuplicatePolicyName } from '../api.js';
import type { PresentationPolicy as PresentationPolicyName } from '../api.js';
import type { FindingRepair as FindingRepairName, FindingSeverity as FindingSeverityName } from '../api.js';
import type { GalleryStats, QualityReason as QualityReasonName, TemplateOrigin as TemplateOriginName } from '../api.js';
import type { RateKind as RateKindName, RateSupport as RateSupportName } from '../api.js';
import { HarmonidError } from '../errors.js';
import { FindingRepair, FindingSeverity, GraphSource, RateKind, RateSupport } from './harmonid/v1/admin.js';
import {
  DuplicatePolicy,
  FaceSelection,
  PresentationPolicy,
  QualityReason,
  TemplateOrigin,
} from './harmonid/v1/common.js';
import { Decision } from './harmonid/v1/identity.js';

export const decisions = {
  match: Decision.MATCH,
  'no-match': Decision.NO_MATCH,
  ambiguous: Decision.AMBIGUOUS,
} as const satisfies Record<DecisionName, Decision>;

export const duplicatePolicies = {
  refuse: DuplicatePolicy.REFUSE,
  report: DuplicatePolicy.REPORT,
  ignore: DuplicatePolicy.IGNORE,
} as const satisfies Record<DuplicatePolicyName, DuplicatePolicy>;

export const presentationPolicies = {
  ignore: PresentationPolicy.IGNORE,
  require: PresentationPolicy.REQUIRE,
} as const satisfies Record<PresentationPolicyName, PresentationPolicy>;

export const rateKinds = {
  fpir: RateKind.FPIR,
  fmr: RateKind.FMR,
} as const satisfies Record<RateKindName, RateKind>;

export const rateSupports = {
  counted: RateSupport.COUNTED,
  extrapolated: RateSupport.EXTRAPOLATED,
  'too-few': RateSupport.TOO_FEW,
} as const satisfies Record<RateSupportName, RateSupport>;

export const qualityReasonNumbers = {
  TOO_SMALL: QualityReason.TOO_SMALL,
  TOO_BLURRY: QualityReason.TOO_BLURRY,
  TOO_DARK: QualityReason.TOO_DARK,
  TOO_BRIGHT: QualityReason.TOO_BRIGHT,
  LOW_CONTRAST: QualityReason.LOW_CONTRAST,
  EXTREME_POSE: QualityReason.EXTREME_POSE,
  LOW_CONFIDENCE: QualityReason.LOW_CONFIDENCE,
  CUT_OFF: QualityReason.CUT_OFF,
  PRESENTATION_ATTACK: QualityReason.PRESENTATION_ATTACK,
} as const satisfies Record<QualityReasonName, QualityReason>;

export const faceSelections = {
  one: FaceSelection.ONE,
  largest: FaceSelection.LARGEST,
  all: FaceSelection.ALL,
} as const satisfies Record<'one' | 'largest' | 'all', FaceSelection>;

export const templateOrigins = {
  native: TemplateOrigin.NATIVE,
  mapped: TemplateOrigin.MAPPED,
  're-embedded': TemplateOrigin.RE_EMBEDDED,
} as const satisfies Record<TemplateOriginName, TemplateOrigin>;

export const graphSources = {
  checkpoint: GraphSource.CHECKPOINT,
  rebuild: GraphSource.REBUILD,
  new: GraphSource.NEW,
} as const satisfies Record<GalleryStats['graph']['openedFrom'], GraphSource>;

export const findingSeverities = {
  error: FindingSeverity.ERROR,
  warning: FindingSeverity.WARNING,
} as const satisfies Record<FindingSeverityName, FindingSeverity>;

export const findingRepairs = {
  rebuilt: FindingRepair.REBUILT,
  quarantined: FindingRepair.QUARANTINED,
  none: FindingRepair.NONE,
} as const satisfies Record<FindingRepairName, FindingRepair>;

/** The word of a number; undefined when the table has none. */
export function nameOf<Name extends string>(table: Readonly<Record<Name, number>>, value: number): Name | undefined {
  for (const name in table) if (table[name] === value) return name;
  return undefined;
}

/** The number of a word, 0 for none. @throws INVALID_ARGUMENT for a word that the types forbid */
export function numberOf<Name extends string, Value extends number>(
  table: Readonly<Record<Name, Value>>,
  name: Name | undefined,
  argument: string,
): Value | 0 {
  if (name === undefined) return 0;
  if (Object.hasOwn(table, name)) return table[name];
  throw new HarmonidError(
    'INVALID_ARGUMENT',
    `${argument} is "${name}", one of ${Object.keys(table).join(', ')} is wanted`,
    { details: { argument } },
  );
}
