/** The templates of a gallery in one space as a matrix, read a page at a time while others go on. */
import { setImmediate } from 'node:timers/promises';
import { HarmonidError, throwIfAborted } from '../errors.js';
import type { IdentityIndex } from '../index/index-api.js';
import type { TemplateOrigin } from '../index/records.js';
import type { UnitVector } from '../vector.js';
import { templateOrigins } from './calibrate-messages.js';
import type { TemplateMatrix } from './impostor-sample.js';

/** A face whose person is known, or known not to be enrolled. */
export interface GivenProbe {
  /** Null: somebody who is not in the gallery. */
  readonly identity: string | null;
  readonly vector: UnitVector;
}

export interface ReadTemplates {
  readonly templates: TemplateMatrix;
  readonly origins: Uint8Array;
  /** By position in the matrix. */
  readonly owners: readonly number[];
  readonly counts: Readonly<Record<TemplateOrigin, number>>;
}

/** Templates read before others have a turn. */
const pageSize = 256;

/** @throws SPACE_MISMATCH when the gallery is not in that space, CANCELLED */
export async function readTemplates(
  index: IdentityIndex,
  gallery: string,
  space: string,
  signal?: AbortSignal,
): Promise<ReadTemplates> {
  const record = index.getGallery(gallery);
  const isServing = record.space === space;
  if (!isServing && record.beside?.space !== space) {
    throw new HarmonidError('SPACE_MISMATCH', `gallery "${gallery}" is in space ${record.space}, not in ${space}`, {
      details: { gallery, gallerySpace: record.space, space },
    });
  }
  const dimensions = isServing ? record.dimensions : (record.beside?.dimensions ?? 0);
  const rows: { owner: number; vector: UnitVector; origin: TemplateOrigin }[] = [];
  for (let after: Uint8Array | null = null, isLast = false; !isLast;) {
    throwIfAborted(signal);
    const { templates, next } = index.templatesAfter(gallery, after, pageSize);
    for (const { owner, vector, origin, beside } of templates) {
      if (isServing) rows.push({ owner, vector, origin });
      else if (beside) rows.push({ owner, ...beside });
    }
    after = next;
    isLast = next === null;
    await setImmediate();
  }
  return asMatrix(rows, dimensions);
}

function asMatrix(
  rows: readonly { readonly owner: number; readonly vector: UnitVector; readonly origin: TemplateOrigin }[],
  dimensions: number,
): ReadTemplates {
  const vectors = new Float32Array(new SharedArrayBuffer(rows.length * dimensions * 4));
  const [positions, native, origins] = [
    new Uint32Array(rows.length),
    new Uint8Array(rows.length),
    new Uint8Array(rows.length),
  ];
  const counts = { native: 0, mapped: 0, 're-embedded': 0 };
  const owners: number[] = [];
  rows.forEach(({ owner, vector, origin }, row) => {
    if (owners.at(-1) !== owner) owners.push(owner);
    vectors.set(vector, row * dimensions);
    positions[row] = owners.length - 1;
    native[row] = origin === 'mapped' ? 0 : 1;
    origins[row] = templateOrigins.indexOf(origin);
    counts[origin]++;
  });
  return { templates: { dimensions, vectors, owners: positions, native }, origins, owners, counts };
}
