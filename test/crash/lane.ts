/**
 * One client and its people: does one thing after the other, and enters each in the ledger before it is asked and when it is answered.
 *
 * Promises: nobody else writes to its people, so that what they must look like is known at every moment. When the server goes away it stops;
 * at the next server it first finds out what became of its last attempt, by asking again with the same key or by looking.
 */
import type { EnrollAnswer, EnrollRequest, Identity } from '../../src/api.js';
import type { RemoteDatabase } from '../../src/client/remote-database.js';
import { isHarmonidError } from '../../src/errors.js';
import type { UnitVector } from '../../src/vector.js';
import { pick, type FaceMaker, type Random } from '../index/faces.js';
import { enrolment, erase, removeTemplate, update, type Attempt, type Details, type WriteAnswer } from './attempt.js';
import type { Ledger, Person, PersonState } from './ledger.js';
import { printPerson } from './person-match.js';
import { galleryName, groupNames, spaceName } from './testimony.js';

const peopleMax = 24;
const templatesMax = 10;
const faceNumbersPerLane = 1_000_000;
/** How much later the same request is sent once more, while the first may be under way, milliseconds. */
const echoDelayMaxMs = 3;

/** What was found is not what any order of events allows. */
export class LoadFault extends Error {}

interface KeyedEnrolment {
  readonly request: EnrollRequest;
  readonly numbers: readonly number[];
}

export class Lane {
  readonly #name: string;
  readonly #random: Random;
  readonly #faces: FaceMaker;
  readonly #ledger: Ledger;
  readonly #people = new Set<string>();
  /** Which face each identity has. */
  readonly #faceNumbers = new Map<string, number>();
  readonly #faceBase: number;
  /** People whom it erased; each comes back once at most, under a new name. */
  readonly #gone: { readonly face: number; readonly vector: UnitVector }[] = [];
  readonly #answered: KeyedEnrolment[] = [];
  #unsettled: Attempt | null = null;
  #lastPerson = 0;
  #lastKey = 0;

  constructor(number: number, random: Random, faces: FaceMaker, ledger: Ledger) {
    this.#name = `lane${number}`;
    this.#faceBase = number * faceNumbersPerLane;
    this.#random = random;
    this.#faces = faces;
    this.#ledger = ledger;
  }

  /**
   * Works until the server goes away.
   * @param over fires before the server is killed or told to stop: what fails from then on fails for that
   * @throws LoadFault
   */
  async run(database: RemoteDatabase, over: AbortSignal): Promise<void> {
    try {
      if (this.#unsettled) await this.#settle(database, this.#unsettled);
      for (;;) await this.#act(database);
    } catch (error) {
      if (error instanceof LoadFault) throw error;
      // A call whose connection is cut half-way is told as INTERNAL.
      if (over.aborted && isHarmonidError(error) && (error.code === 'UNAVAILABLE' || error.code === 'INTERNAL')) return;
      throw new LoadFault(`${this.#name}: ${this.#unsettled?.kind ?? 'a read'} failed`, { cause: error });
    }
  }

  // ── What it does ───────────────────────────────────────────────────────────────────────────────────────────────────

  async #act(database: RemoteDatabase): Promise<void> {
    const identity = pick(this.#random, [...this.#people]);
    const person = identity === undefined ? null : this.#ledger.entry(identity).acknowledged;
    if (identity === undefined || !person) return this.#attempt(database, this.#newPerson());
    const chance = this.#random();
    if (chance < 0.01) return database.checkpoint({ gallery: galleryName });
    if (chance < 0.15) return this.#identify(database, identity, person);
    if (chance < 0.2) return this.#repeat(database);
    if (chance < 0.3)
      return this.#attempt(
        database,
        update(identity, person, this.#details(), this.#random() < 0.5 ? 'named' : 'unnamed'),
      );
    if (chance < 0.45) {
      const template = pick(this.#random, person.templates)?.template;
      if (typeof template === 'number') return this.#attempt(database, removeTemplate(identity, person, template));
    }
    if (chance < 0.6 && person.templates.length < templatesMax) {
      return this.#attempt(database, this.#enrolment(identity, person, this.#vectors(identity, 3)));
    }
    const erases = this.#random() * peopleMax < this.#people.size;
    return this.#attempt(database, erases ? erase(identity) : this.#newPerson());
  }

  /** Somebody whose face was never seen, or one who was erased and comes back under another name. */
  #newPerson(): Attempt {
    const identity = `${this.#name}-${++this.#lastPerson}`;
    const back = this.#random() < 0.3 ? this.#gone.pop() : undefined;
    this.#faceNumbers.set(identity, back?.face ?? this.#faceBase + this.#lastPerson);
    return this.#enrolment(identity, null, back ? [back.vector] : this.#vectors(identity, 4));
  }

  #vectors(identity: string, countMax: number): UnitVector[] {
    const count = 1 + Math.floor(this.#random() * countMax);
    return Array.from({ length: count }, () => this.#faces.face(this.#faceNumbers.get(identity) ?? 0));
  }

  #details(): Details {
    const given = Math.floor(this.#random() * 8);
    return {
      ...((given & 1) > 0 && { label: `label ${Math.floor(this.#random() * 1_000)}` }),
      ...((given & 2) > 0 && { groups: groupNames.filter(() => this.#random() < 0.5) }),
      ...((given & 4) > 0 && { attributes: { shift: String(Math.floor(this.#random() * 100)) } }),
    };
  }

  #enrolment(identity: string, before: PersonState, vectors: readonly UnitVector[]): Attempt {
    const idempotencyKey = this.#random() < 0.6 ? `${this.#name} ${++this.#lastKey}` : undefined;
    const echoes = idempotencyKey !== undefined && this.#random() < 0.3;
    return enrolment({
      identity,
      before,
      details: this.#details(),
      vectors,
      idempotencyKey,
      echoDelayMs: echoes ? this.#random() * echoDelayMaxMs : null,
    });
  }

  async #attempt(database: RemoteDatabase, attempt: Attempt): Promise<void> {
    const { identity, kind, after, send } = attempt;
    this.#ledger.begin(identity, kind, after);
    this.#unsettled = attempt;
    this.#acknowledge(attempt, await send(database));
  }

  #acknowledge(attempt: Attempt, answer: WriteAnswer): void {
    const before = this.#ledger.entry(attempt.identity).acknowledged;
    this.#ledger.acknowledge(attempt.identity, answer.sequence, answer.numbers);
    if (attempt.request) this.#answered.push({ request: attempt.request, numbers: answer.numbers });
    this.#close(attempt.identity, before);
  }

  /** The attempt is over and the ledger knows how it went. */
  #close(identity: string, before: PersonState): void {
    this.#unsettled = null;
    if (this.#ledger.entry(identity).acknowledged) this.#people.add(identity);
    else {
      this.#people.delete(identity);
      const [first] = before?.templates ?? [];
      const face = this.#faceNumbers.get(identity);
      if (first && face !== undefined) this.#gone.push({ face, vector: first.vector });
      this.#faceNumbers.delete(identity);
    }
  }

  // ── After the server came back ─────────────────────────────────────────────────────────────────────────────────────

  async #settle(database: RemoteDatabase, attempt: Attempt): Promise<void> {
    const { identity, request, after } = attempt;
    const before = this.#ledger.entry(identity).acknowledged;
    if (request && this.#random() < 0.7) {
      this.#acknowledge(attempt, await attempt.send(database));
      const found = await look(database, identity);
      const { acknowledged } = this.#ledger.entry(identity);
      if (found && acknowledged && completed(acknowledged, found)) return;
      throw new LoadFault(
        `${identity} was enrolled again with the same key: expected ${printPerson(acknowledged)}, found ${JSON.stringify(found)}`,
      );
    }
    if (!after && this.#random() < 0.5) {
      this.#acknowledge(attempt, await erase(identity).send(database));
      return;
    }
    const found = await look(database, identity);
    const state = found && ((after && completed(after, found)) || (before && completed(before, found)));
    if (!state && (found || (before && after))) {
      throw new LoadFault(
        `${identity} after ${attempt.kind} in flight: expected ${printPerson(before)} or ${printPerson(after)}, found ${JSON.stringify(found)}`,
      );
    }
    this.#ledger.settle(identity, state);
    this.#close(identity, before);
  }

  // ── What changes nothing ───────────────────────────────────────────────────────────────────────────────────────────

  async #identify(database: RemoteDatabase, identity: string, person: Person): Promise<void> {
    const template = pick(this.#random, person.templates);
    if (!template) return;
    const { candidates } = await database.identify({
      gallery: galleryName,
      embedding: { space: spaceName, vector: template.vector },
      exact: this.#random() < 0.5,
    });
    const [nearest] = candidates;
    if (nearest?.identity === identity && nearest.template === template.template) return;
    throw new LoadFault(`${identity} ${template.template} is not the nearest to itself, ${JSON.stringify(nearest)} is`);
  }

  /** Asks an enrolment of long ago again: it must be told of those templates and no others, and bring nobody back. */
  async #repeat(database: RemoteDatabase): Promise<void> {
    const enrolment = pick(this.#random, this.#answered);
    if (!enrolment) return;
    const { request, numbers } = enrolment;
    const { acknowledged } = this.#ledger.entry(request.identity);
    const present = acknowledged?.templates.flatMap(({ template }) => template ?? []) ?? [];
    let answer: EnrollAnswer;
    try {
      answer = await database.enroll(request);
    } catch (error) {
      if (!acknowledged && isHarmonidError(error) && error.code === 'IDENTITY_ERASED') return;
      throw error;
    }
    // Templates that were removed since may be told of, or not.
    const told = answer.templates.map(({ template }) => template);
    const isWhole = numbers.every((number) => told.includes(number) || !present.includes(number));
    if (answer.replayed && isWhole && told.every((number) => numbers.includes(number))) return;
    throw new LoadFault(
      `${request.identity}: key "${request.idempotencyKey}" was answered with templates ${numbers.join()}, of which ${present.join()} are left; now with ${told.join()}, replayed ${answer.replayed}`,
    );
  }
}

async function look(database: RemoteDatabase, identity: string): Promise<Identity | null> {
  try {
    return await database.getIdentity({ gallery: galleryName, identity });
  } catch (error) {
    if (isHarmonidError(error) && error.code === 'IDENTITY_NOT_FOUND') return null;
    throw error;
  }
}

/** `expected` with the template numbers of `found`; null when `found` is not it. Vectors are for the verdict. */
function completed(expected: Person, found: Identity): Person | null {
  const plain = ({ label, groups, attributes, version }: Pick<Person, 'label' | 'groups' | 'attributes' | 'version'>) =>
    JSON.stringify([label, groups.toSorted(), Object.entries(attributes), version]);
  if (plain(expected) !== plain(found) || expected.templates.length !== found.templates.length) return null;
  const templates = expected.templates.map((each, i) => ({ ...each, template: found.templates[i]?.template ?? null }));
  const agrees = expected.templates.every(
    ({ template }, i) => template === null || template === found.templates[i]?.template,
  );
  return agrees ? { ...expected, templates } : null;
}
