/**
 * The ways in which a gallery and a probe come to be comparable while a gallery changes its model: staying, mapping, both, photos again.
 */
import type { AdapterModel } from './adapter-model.js';
import type { Channel } from './comparisons.js';
import type { Algebra } from './dense-algebra.js';
import { columnMeans, type Matrix } from './matrix.js';
import type { PairSet } from './pair-set.js';
import { mapThrough } from './selection.js';

export const rows = ['old', 'mapped', 'fused', 'new'] as const;
export type Row = (typeof rows)[number];

/** For people. */
export const rowNames: Readonly<Record<Row, string>> = {
  old: 'old gallery, old probe (staying)',
  mapped: 'mapped gallery, new probe',
  fused: 'mapped gallery, both probes fused',
  new: 'new gallery, new probe (photos again)',
};

/** @param model fitted on `fit`, of whose people nobody is in `test` */
export async function channelsOf(
  algebra: Algebra,
  fit: PairSet,
  test: PairSet,
  model: AdapterModel,
): Promise<{ readonly ways: Readonly<Record<Row, readonly Channel[]>>; readonly oldShare: number }> {
  const old: Channel = { gallery: test.vectorsFrom, probes: test.vectorsFrom, weight: 1 };
  const gallery = await mapThrough(model, test.vectorsFrom, test.to.dimensions);
  const mapped: Channel = { gallery, probes: test.vectorsTo, weight: 1 };
  const fitted = await mapThrough(model, fit.vectorsFrom, fit.to.dimensions);
  const spreads = [
    await spreadOfCosines(algebra, fit.vectorsFrom, fit.vectorsFrom),
    await spreadOfCosines(algebra, fit.vectorsTo, fitted),
  ] as const;
  // Equal weights of standardised distances.
  const oldShare = spreads[1] / (spreads[0] + spreads[1]);
  return {
    oldShare,
    ways: {
      old: [old],
      mapped: [mapped],
      fused: [
        { ...old, weight: oldShare },
        { ...mapped, weight: 1 - oldShare },
      ],
      new: [{ gallery: test.vectorsTo, probes: test.vectorsTo, weight: 1 }],
    },
  };
}

/**
 * Standard deviation of the cosines of all rows with all: nearly all of them are of different people. From moments, so that a large set takes no more
 * memory: the mean of (x·y)² is the sum of the products of E[x xᵀ] and E[y yᵀ].
 */
async function spreadOfCosines(algebra: Algebra, one: Matrix, other: Matrix): Promise<number> {
  const [products, others] = [await algebra.product(one, one, 'a'), await algebra.product(other, other, 'a')];
  const squares = dot(products.data, others.data) / (one.rows * other.rows);
  return Math.sqrt(squares - dot(columnMeans(one), columnMeans(other)) ** 2);
}

function dot(one: ArrayLike<number>, other: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < one.length; i++) sum += (one[i] as number) * (other[i] as number);
  return sum;
}
