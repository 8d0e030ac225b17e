/**
 * What a check finds: a disagreement with both sides, where it is, and what a repair does about it.
 */
import type { TableName } from './store.js';

export const findingSeverities = ['error', 'warning'] as const;
export type FindingSeverity = (typeof findingSeverities)[number];

/** What disagrees. */
export const findingKinds = [
  /** The pages of the data file: LMDB's own structure. */
  'page',
  /** A record that does not match its checksum or its schema, or does not open with its key. */
  'record',
  'format',
  'gallery',
  /** A count or a next number of a gallery. */
  'counter',
  'identity',
  'pointer',
  'template',
  'membership',
  'change-log',
  'answer',
  'receipt-chain',
  'suppression',
  /** Records of a gallery that is not there. */
  'orphan',
  'checkpoint',
  'graph-file',
  'stray-file',
  /** A key of an encrypted directory. */
  'key',
  /** Found by comparing with every template, and missed by the graph. */
  'graph-miss',
  /** Not found by any search. */
  'unsearchable',
] as const;
export type FindingKind = (typeof findingKinds)[number];

/** `rebuilt` from what is there; `quarantined`: set aside, bytes and all; `none`: nothing that a repair could do. */
export const findingRepairs = ['rebuilt', 'quarantined', 'none'] as const;
export type FindingRepair = (typeof findingRepairs)[number];

export interface Finding {
  readonly severity: FindingSeverity;
  readonly kind: FindingKind;
  /** Table and key (hexadecimal), or file. */
  readonly where: string;
  /** Names both sides. */
  readonly message: string;
  /** What `harmonid check --repair` does about it. */
  readonly repair: FindingRepair;
}

/** What was looked at. */
export interface CheckCounts {
  readonly records: number;
  /** Searched for by their own vectors. */
  readonly templates: number;
  /** The data file and graph files. */
  readonly files: number;
}

/** What a repair does about a finding. */
export type Mend =
  | { readonly kind: 'none' }
  /** The record leaves its table. */
  | { readonly kind: 'quarantine'; readonly table: TableName; readonly key: Buffer }
  /** So do all records of a gallery's number. */
  | { readonly kind: 'quarantine-gallery'; readonly number: number }
  /** A record that follows from others is written. */
  | { readonly kind: 'put'; readonly table: TableName; readonly key: Buffer; readonly value: Buffer }
  /** The same, and what stands there is kept in quarantine. */
  | { readonly kind: 'replace'; readonly table: TableName; readonly key: Buffer; readonly value: Buffer }
  /** The gallery's change log is emptied and its checkpoints forgotten. */
  | { readonly kind: 'drop-log'; readonly number: number }
  /** The checkpoint is forgotten and its file set aside. */
  | { readonly kind: 'drop-checkpoint'; readonly key: Buffer; readonly file: string | null };

const repairOf = {
  none: 'none',
  quarantine: 'quarantined',
  'quarantine-gallery': 'quarantined',
  put: 'rebuilt',
  replace: 'rebuilt',
  'drop-log': 'rebuilt',
  'drop-checkpoint': 'rebuilt',
} as const satisfies Record<Mend['kind'], FindingRepair>;

/** A finding with what a repair needs to know of it. */
export interface Damage extends Finding {
  readonly mend: Mend;
  /** The number of the gallery that it is about. */
  readonly gallery: number | null;
}

export interface DamageParts {
  readonly kind: FindingKind;
  readonly where: string;
  readonly message: string;
  readonly mend?: Mend;
  readonly gallery?: number;
  /** Default `error`. */
  readonly severity?: FindingSeverity;
}

export function damage({ kind, where, message, mend, gallery, severity }: DamageParts): Damage {
  const done = mend ?? { kind: 'none' };
  return {
    severity: severity ?? 'error',
    kind,
    where,
    message,
    repair: repairOf[done.kind],
    mend: done,
    gallery: gallery ?? null,
  };
}

export function asFinding({ severity, kind, where, message, repair }: Finding): Finding {
  return { severity, kind, where, message, repair };
}

export function placeOf(table: TableName, key: Uint8Array): string {
  return `${table} ${Buffer.from(key).toString('hex')}`;
}
