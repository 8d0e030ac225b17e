/** Whether a person as found is the person that the ledger has: the one comparison that load and verdict share. */
import { squaredDistance, type UnitVector } from '../../src/vector.js';
import type { Person, PersonState } from './ledger.js';

/** Two vectors this near are one and the same: float32 rounding of what was sent. Faces of one person differ by 1e-3 and more. */
const sameVector = 1e-9;

export function isSameVector(a: UnitVector, b: UnitVector): boolean {
  return a.length === b.length && squaredDistance(a, b) < sameVector;
}

export function isSamePerson(found: PersonState, expected: PersonState): boolean {
  if (!found || !expected) return found === expected;
  return describePerson(found) === describePerson(expected) && haveSameTemplates(found, expected);
}

/** Template numbers are compared where the ledger knows them; the order is that of the numbers. */
function haveSameTemplates(found: Person, expected: Person): boolean {
  return (
    found.templates.length === expected.templates.length &&
    expected.templates.every(({ template, vector }, i) => {
      const other = found.templates[i];
      return other && (template === null || template === other.template) && isSameVector(vector, other.vector);
    })
  );
}

function describePerson({ label, groups, attributes, version }: Person): string {
  return JSON.stringify({
    label,
    groups: groups.toSorted(),
    attributes: Object.entries(attributes).toSorted(),
    version,
  });
}

/** For messages: everything but the vectors. */
export function printPerson(state: PersonState): string {
  if (!state) return 'absent';
  const templates = state.templates.map(({ template, vector }) => `${template ?? 'new'}:${vector[0]?.toFixed(4)}`);
  return `${describePerson(state)} templates [${templates.join(' ')}]`;
}
