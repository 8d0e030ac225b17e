/**
 * The ways in which a gallery and a probe come to be comparable while a gallery changes its model: staying, mapping, both, photos again.
 */
import { mapThrough } from './adapter.js';
import type { AdapterModel } from './adapter-model.js';
import type { Channel } from './comparisons.js';
import { spreadOfCosines } from './cosine-spread.js';
import type { Algebra } from './dense-algebra.js';
import type { PairSet } from './pair-set.js';

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
