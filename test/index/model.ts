/**
 * The identity index as a plain map, and the comparison of an index with it. No storage, no graph: the simplest thing that is right.
 */
import assert from 'node:assert/strict';
import type { IdentityIndex } from '../../src/index/identity-index.js';
import { squaredDistance, type UnitVector } from '../../src/vector.js';

export interface ModelIdentity {
  label: string;
  groups: string[];
  attributes: Record<string, string>;
  version: number;
  /** By template number. */
  readonly templates: Map<number, UnitVector>;
}

export type Model = Map<string, ModelIdentity>;

/** Every identity and every vector in the index is in the model, and the other way round; counters agree. */
export function assertSame(index: IdentityIndex, gallery: string, model: Model): void {
  const shown = Object.fromEntries(
    index.listIdentities({ gallery, limit: 1_000_000 }).map((each) => [
      each.identity,
      {
        label: each.label,
        groups: each.groups,
        attributes: each.attributes,
        version: each.version,
        templates: each.templates.map(({ template }) => template),
      },
    ]),
  );
  const expected = Object.fromEntries(
    [...model].map(([identity, { templates, ...rest }]) => [identity, { ...rest, templates: [...templates.keys()] }]),
  );
  assert.deepEqual(shown, expected);
  const vectors = new Map(
    Array.from(index.exportTemplates(gallery), ({ identity, template, vector }) => [
      `${identity.identity} ${template.template}`,
      vector,
    ]),
  );
  for (const [identity, { templates }] of model) {
    for (const [template, vector] of templates) {
      assert.deepEqual(vectors.get(`${identity} ${template}`), vector);
      vectors.delete(`${identity} ${template}`);
    }
  }
  assert.equal(vectors.size, 0, 'nothing is stored that the model does not have');
  const { identityCount, templateCount } = index.getGallery(gallery);
  assert.equal(identityCount, model.size);
  assert.equal(
    templateCount,
    [...model.values()].reduce((sum, { templates }) => sum + templates.size, 0),
  );
}

/** Nearest identities by brute force. */
export function nearestIn(
  model: Model,
  probe: UnitVector,
  k: number,
  groups?: readonly string[],
): { identity: string; distance: number; template: number }[] {
  return [...model]
    .filter(([, { groups: own }]) => !groups || own.some((group) => groups.includes(group)))
    .flatMap(([identity, { templates }]) => {
      const ranked = [...templates]
        .map(([template, vector]) => ({ identity, template, distance: squaredDistance(probe, vector) }))
        .toSorted((a, b) => a.distance - b.distance);
      return ranked.slice(0, 1);
    })
    .toSorted((a, b) => a.distance - b.distance || Buffer.compare(Buffer.from(a.identity), Buffer.from(b.identity)))
    .slice(0, k);
}
