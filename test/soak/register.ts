/**
 * Who was acknowledged, who was erased, and of whom that is not known because the answer is still out.
 *
 * Promises: a person has one writer, so that at any moment it is there, gone, or one of both. Knows no database.
 */
import type { UnitVector } from '../../src/vector.js';

type Standing = 'enrolling' | 'there' | 'erasing' | 'gone';

interface Person {
  readonly standing: Standing;
  /** Null for people by image. */
  readonly vector: UnitVector | null;
}

export class Register {
  readonly #people = new Map<string, Person>();

  /** To be called before the request leaves. */
  enrolling(gallery: string, identity: string, vector: UnitVector | null): void {
    this.#people.set(keyOf(gallery, identity), { standing: 'enrolling', vector });
  }

  /** To be called in the turn in which the answer comes. */
  enrolled(gallery: string, identity: string): void {
    this.#stand(gallery, identity, 'there');
  }

  erasing(gallery: string, identity: string): void {
    this.#stand(gallery, identity, 'erasing');
  }

  erased(gallery: string, identity: string): void {
    this.#stand(gallery, identity, 'gone');
  }

  get standings(): Readonly<Record<Standing, number>> {
    const counts = { enrolling: 0, there: 0, erasing: 0, gone: 0 };
    for (const { standing } of this.#people.values()) counts[standing]++;
    return counts;
  }

  /** @param found vectors of everybody in the directory, by `keyOf`. @returns what does not agree */
  compare(found: ReadonlyMap<string, readonly UnitVector[]>): readonly string[] {
    const faults: string[] = [];
    for (const [key, { standing, vector }] of this.#people) {
      const vectors = found.get(key);
      if (standing === 'there' && !vectors) faults.push(`${key} was acknowledged and is lost`);
      if (standing === 'gone' && vectors) faults.push(`${key} was erased and is there`);
      if (standing === 'there' && vector && vectors && !vectors.some((each) => isSame(each, vector)))
        faults.push(`${key} has another vector than was acknowledged`);
    }
    for (const key of found.keys()) if (!this.#people.has(key)) faults.push(`${key} was never enrolled`);
    return faults;
  }

  #stand(gallery: string, identity: string, standing: Standing): void {
    const key = keyOf(gallery, identity);
    this.#people.set(key, { standing, vector: standing === 'gone' ? null : (this.#people.get(key)?.vector ?? null) });
  }
}

export function keyOf(gallery: string, identity: string): string {
  return `${gallery}/${identity}`;
}

/** Bit for bit, as unit vectors are kept. */
function isSame(one: UnitVector, other: UnitVector): boolean {
  return one.length === other.length && one.every((value, i) => value === other[i]);
}
