/** Galleries of made people, as matrices: no database code. */
import type { ImpostorSample, TemplateMatrix } from '../../src/calibration/impostor-sample.js';
import { sampleImpostors, type SampleOptions } from '../../src/calibration/impostor-sample.js';
import { makeRandom } from '../../src/random.js';
import type { UnitVector } from '../../src/vector.js';

export function matrixOf(people: readonly (readonly UnitVector[])[]): TemplateMatrix {
  const rows = people.flatMap((faces, owner) => faces.map((vector) => ({ owner, vector })));
  const dimensions = rows[0]?.vector.length ?? 0;
  const vectors = new Float32Array(rows.length * dimensions);
  rows.forEach(({ vector }, row) => vectors.set(vector, row * dimensions));
  return {
    dimensions,
    vectors,
    owners: Uint32Array.from(rows, ({ owner }) => owner),
    native: new Uint8Array(rows.length).fill(1),
  };
}

export function sampled(templates: TemplateMatrix, options: Partial<SampleOptions> = {}): ImpostorSample {
  const pieces = sampleImpostors(templates, {
    comparisonsMax: 1e9,
    random: makeRandom(1),
    worth: (_row, distance) => distance,
    ...options,
  });
  for (;;) {
    const { done, value } = pieces.next();
    if (done) return value;
  }
}
