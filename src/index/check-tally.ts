/**
 * A gallery under check, and what is counted of it on the way.
 */
import type { GalleryRecord } from './codec.js';
import { damage, placeOf, type Damage } from './findings.js';
import type { TableName } from './store.js';

export interface CheckedGallery {
  readonly name: string;
  readonly record: GalleryRecord;
}

export type Findings = AsyncGenerator<Damage, void, void>;

/** The numbers that a gallery's own record tells, counted anew. */
export interface Tally {
  identityCount: number;
  /** By lane. */
  readonly templateCounts: Map<number, number>;
  /** Largest in use, -1 for none. */
  owner: number;
  template: number;
  sequence: number;
}

/** Findings about the gallery, which they name. */
export function naming({
  name,
  record,
}: CheckedGallery): (
  kind: Damage['kind'],
  table: TableName,
  key: Buffer,
  message: string,
  mend?: Damage['mend'],
) => Damage {
  return (kind, table, key, message, mend) =>
    damage({
      kind,
      where: placeOf(table, key),
      message: `gallery "${name}": ${message}`,
      gallery: record.number,
      ...(mend && { mend }),
    });
}
