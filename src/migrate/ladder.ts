/**
 * The ladder of estimators, from the simplest to the richest, and what is tried of each.
 *
 * A rung may build on what was fitted below it on the same pairs: the residual network starts from the ridge, the ensemble adds network
 * and kernel. The table is fixed before anything is seen; which rung is taken is decided in selection.ts, on people outside the fit.
 */
import type { AdapterMap, AdapterModel, LinearMap, QuadraticMap, ResidualMap } from './adapter-model.js';
import type { Algebra } from './dense-algebra.js';
import { fitKernel } from './kernel-fit.js';
import { fitProcrustes, fitRidge } from './linear-fits.js';
import { columnMeans, meanNorm, subtractFromRows } from './matrix.js';
import type { PairSet } from './pair-set.js';
import { fitResidual, type ResidualSettings } from './residual-fit.js';
import { turnedModel } from './score-turn.js';

/** One estimator with its settings: what is fitted, and told to people. */
export type Rung =
  | { readonly estimator: 'procrustes' }
  | { readonly estimator: 'ridge'; readonly ridge: number }
  | { readonly estimator: 'kernel'; readonly ridge: number }
  | { readonly estimator: 'residual'; readonly ridge: number; readonly residual: ResidualSettings }
  | {
      readonly estimator: 'ensemble';
      readonly kernelRidge: number;
      readonly ridge: number;
      readonly residual: ResidualSettings;
    };

/** @param seed of everything random in the fits */
export function ladder(seed: number): readonly Rung[] {
  const residual: ResidualSettings = {
    hidden: 1024,
    steps: 200,
    batch: 900,
    learningRate: 0.01,
    margin: 0.2,
    seed,
  };
  return [
    { estimator: 'procrustes' },
    { estimator: 'ridge', ridge: 0.3 },
    { estimator: 'ridge', ridge: 0.03 },
    { estimator: 'kernel', ridge: 2 },
    { estimator: 'kernel', ridge: 1 },
    { estimator: 'kernel', ridge: 0.5 },
    { estimator: 'kernel', ridge: 0.25 },
    { estimator: 'residual', ridge: 0.03, residual },
    { estimator: 'ensemble', kernelRidge: 0.5, ridge: 0.03, residual },
  ];
}

/** What a member counts in an ensemble. */
const weights: Readonly<Record<AdapterMap['kind'], number>> = { linear: 1, quadratic: 1, residual: 0.3 };

/** Fits rungs on one pair set; what several of them share is fitted once. A class because it keeps that. */
export class RungFitter {
  readonly #algebra: Algebra;
  readonly #pairs: PairSet;
  readonly #fitted = new Map<string, Promise<AdapterMap>>();

  constructor(algebra: Algebra, pairs: PairSet) {
    this.#algebra = algebra;
    this.#pairs = pairs;
  }

  async fit(rung: Rung): Promise<AdapterModel> {
    const maps = await this.#maps(rung);
    const members = maps.map((map) => ({ map, weight: weights[map.kind] }));
    if (maps.some(({ kind }) => kind === 'quadratic')) return turnedModel(this.#algebra, this.#pairs, members);
    // A map that hits what it aims at is left as it is, as a rotation between two models of one training.
    const { vectorsTo } = this.#pairs;
    const centre = Float32Array.from(columnMeans(vectorsTo));
    return { members, centre, turn: null, mean: centre, radius: meanNorm(subtractFromRows(vectorsTo, centre)) };
  }

  async #maps(rung: Rung): Promise<readonly AdapterMap[]> {
    switch (rung.estimator) {
      case 'procrustes':
        return [await this.#procrustes()];
      case 'ridge':
        return [await this.#ridge(rung.ridge)];
      case 'kernel':
        return [await this.#kernel(rung.ridge)];
      case 'residual':
        return [await this.#residual(rung.ridge, rung.residual)];
      case 'ensemble':
        return [await this.#kernel(rung.kernelRidge), await this.#residual(rung.ridge, rung.residual)];
    }
  }

  #ridge(ridge: number): Promise<LinearMap> {
    return this.#once(`ridge ${ridge}`, () => fitRidge(this.#algebra, this.#pairs, ridge));
  }

  #procrustes(): Promise<LinearMap> {
    return this.#once('procrustes', () => fitProcrustes(this.#algebra, this.#pairs));
  }

  #kernel(ridge: number): Promise<QuadraticMap> {
    return this.#once(`kernel ${ridge}`, async () =>
      fitKernel(this.#algebra, this.#pairs, await this.#procrustes(), ridge),
    );
  }

  #residual(ridge: number, settings: ResidualSettings): Promise<ResidualMap> {
    return this.#once(`residual ${ridge} ${JSON.stringify(settings)}`, async () =>
      fitResidual(this.#algebra, this.#pairs, await this.#ridge(ridge), settings),
    );
  }

  #once<Fitted extends AdapterMap>(key: string, fit: () => Promise<Fitted>): Promise<Fitted> {
    const known = this.#fitted.get(key);
    // A key names its kind of map.
    if (known) return known as Promise<Fitted>;
    const fitted = fit();
    this.#fitted.set(key, fitted);
    return fitted;
  }
}

/** For people: `kernel, ridge 0.5`. */
export function rungName(rung: Rung): string {
  switch (rung.estimator) {
    case 'procrustes':
      return 'procrustes';
    case 'ridge':
      return `ridge ${rung.ridge}`;
    case 'kernel':
      return `kernel, ridge ${rung.ridge}`;
    case 'residual':
      return `residual network, ${rung.residual.hidden} wide, ${rung.residual.steps} steps`;
    case 'ensemble':
      return `ensemble of kernel, ridge ${rung.kernelRidge}, and residual network`;
  }
}
