/**
 * What a server has acknowledged, and what was asked of it and not yet answered.
 *
 * Promises: an identity has one state that was acknowledged and at most one attempt in flight, so that after a crash exactly two states are
 * allowed. States are never changed, only replaced: a snapshot stays what it was while the load goes on. Knows no database.
 */
import type { UnitVector } from '../../src/vector.js';

export interface PersonTemplate {
  /** Its number in the gallery; null until the server has told it. */
  readonly template: number | null;
  readonly vector: UnitVector;
}

export interface Person {
  readonly label: string;
  readonly groups: readonly string[];
  readonly attributes: Readonly<Record<string, string>>;
  readonly version: number;
  readonly templates: readonly PersonTemplate[];
}

/** Null: not there, because never enrolled or erased. */
export type PersonState = Person | null;

export const writeKinds = ['enroll', 'add templates', 'update', 'remove template', 'erase'] as const;
export type WriteKind = (typeof writeKinds)[number];

export interface LedgerEntry {
  readonly acknowledged: PersonState;
  readonly inFlight: { readonly kind: WriteKind; readonly after: PersonState } | null;
}

/** The ledger as it was at one moment. */
export interface LedgerPage {
  readonly entries: ReadonlyMap<string, LedgerEntry>;
  /** Largest sequence number that an answer named. */
  readonly sequence: number;
  /** The vector that each template number was given to, whether it is still there or not. */
  readonly numbers: ReadonlyMap<number, UnitVector>;
  /** A vector of each erased identity, by its id. */
  readonly erased: ReadonlyMap<string, UnitVector>;
}

export class Ledger {
  readonly #entries = new Map<string, LedgerEntry>();
  readonly #numbers = new Map<number, UnitVector>();
  readonly #erased = new Map<string, UnitVector>();
  readonly #counts = new Map<WriteKind, number>();
  #sequence = 0;
  #awaited: { left: number; readonly resolve: () => void } | null = null;

  /** How many writes of each kind were acknowledged. */
  get counts(): Readonly<Record<WriteKind, number>> {
    const counted = writeKinds.map((kind) => [kind, this.#counts.get(kind) ?? 0] as const);
    return Object.fromEntries(counted) as Record<WriteKind, number>;
  }

  entry(identity: string): LedgerEntry {
    return this.#entries.get(identity) ?? { acknowledged: null, inFlight: null };
  }

  /** To be called before the request leaves. */
  begin(identity: string, kind: WriteKind, after: PersonState): void {
    this.#entries.set(identity, { ...this.entry(identity), inFlight: { kind, after } });
  }

  /** To be called in the turn in which the answer comes. @param numbers of the new templates, in their order */
  acknowledge(identity: string, sequence: number, numbers: readonly number[] = []): void {
    const { inFlight } = this.entry(identity);
    if (!inFlight) throw new Error(`an answer for ${identity} came although nothing was asked`);
    this.#counts.set(inFlight.kind, (this.#counts.get(inFlight.kind) ?? 0) + 1);
    this.#sequence = Math.max(this.#sequence, sequence);
    this.settle(identity, inFlight.after && numbered(inFlight.after, numbers));
    if (this.#awaited && --this.#awaited.left === 0) this.#awaited.resolve();
  }

  /** The attempt in flight has turned out to be done, or not to be: `state` is what the server shows. */
  settle(identity: string, state: PersonState): void {
    const before = this.entry(identity).acknowledged;
    const [first] = before?.templates ?? [];
    if (!state && first) this.#erased.set(identity, first.vector);
    for (const { template, vector } of state?.templates ?? [])
      if (template !== null) this.#numbers.set(template, vector);
    this.#entries.set(identity, { acknowledged: state, inFlight: null });
  }

  /** Resolves when so many more answers have come. */
  acknowledgements(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.#awaited = { left: count, resolve };
      if (count === 0) resolve();
    });
  }

  page(): LedgerPage {
    return {
      entries: new Map(this.#entries),
      sequence: this.#sequence,
      numbers: new Map(this.#numbers),
      erased: new Map(this.#erased),
    };
  }
}

/** Gives the templates that have no number yet the numbers, one after the other. */
function numbered(person: Person, numbers: readonly number[]): Person {
  const left = [...numbers];
  const templates = person.templates.map((each) => ({ ...each, template: each.template ?? left.shift() ?? null }));
  if (left.length > 0 || templates.some(({ template }) => template === null)) {
    throw new Error(`the answer names ${numbers.length} templates, ${person.templates.length} are there in all`);
  }
  return { ...person, templates };
}
