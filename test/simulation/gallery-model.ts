/**
 * One gallery as a plain map: the simplest thing that is right. No storage, no graph, no concurrency.
 *
 * Calls are applied one after the other, each with the time at which the index is told that it happens; what they answer, numbers and versions
 * included, is what the index must answer.
 */
import { HarmonidError, type ErrorCode } from '../../src/errors.js';
import type { EnrollDraft, Enrolment, GalleryChange, GalleryDraft } from '../../src/index/identity-index.js';
import type { Candidate, Gallery, Identity, Template } from '../../src/index/records.js';
import type { ErasureInBrief } from './calls.js';
import { squaredDistance, type UnitVector } from '../../src/vector.js';

export interface Person {
  label: string;
  groups: readonly string[];
  attributes: Readonly<Record<string, string>>;
  version: number;
  readonly createdAt: number;
  updatedAt: number;
  readonly templates: Map<number, StoredFace>;
}

export interface StoredFace {
  readonly view: Template;
  readonly vector: UnitVector;
}

interface Answered {
  readonly draft: EnrollDraft;
  readonly digest: string;
  readonly at: number;
  readonly answer: Enrolment;
  /** Whether the person was erased since; one of the same name who came later is another. */
  readonly isErased: boolean;
}

const dayMs = 24 * 60 * 60 * 1_000;

export class GalleryModel {
  readonly name: string;
  readonly people = new Map<string, Person>();
  /** By idempotency key, oldest first. */
  readonly answered = new Map<string, Answered>();
  #settings: Omit<GalleryDraft, 'gallery'>;
  readonly #createdAt: number;
  #nextTemplate = 1;
  sequence = 0;

  constructor({ gallery, ...settings }: GalleryDraft, nowMs: number) {
    this.name = gallery;
    this.#settings = settings;
    this.#createdAt = nowMs;
  }

  get settings(): Omit<GalleryDraft, 'gallery'> {
    return this.#settings;
  }

  get templateCount(): number {
    let count = 0;
    for (const { templates } of this.people.values()) count += templates.size;
    return count;
  }

  view(): Gallery {
    return {
      gallery: this.name,
      ...this.#settings,
      presentation: this.#settings.presentation ?? 'ignore',
      fpirTarget: this.#settings.fpirTarget ?? null,
      fmrTarget: this.#settings.fmrTarget ?? null,
      identityCount: this.people.size,
      templateCount: this.templateCount,
      sequence: this.sequence,
      createdAt: new Date(this.#createdAt),
      beside: null,
    };
  }

  /** As it is now; changes of this one leave the copy alone. */
  copy(): GalleryModel {
    const copy = new GalleryModel({ gallery: this.name, ...this.#settings }, this.#createdAt);
    copy.sequence = this.sequence;
    copy.#nextTemplate = this.#nextTemplate;
    for (const [key, answered] of this.answered) copy.answered.set(key, answered);
    for (const [identity, person] of this.people) {
      copy.people.set(identity, { ...person, templates: new Map(person.templates) });
    }
    return copy;
  }

  // ── Writes ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** @param duplicates what the index found, which in a graph may be less than there is; the caller judges that. */
  enroll(draft: EnrollDraft, nowMs: number, duplicates: readonly Candidate[] = []): Enrolment {
    const { idempotency } = draft;
    const answered = idempotency && this.answered.get(idempotency.key);
    if (answered && nowMs - answered.at < dayMs) {
      if (answered.digest !== idempotency.digest) throw refusal('IDEMPOTENCY_CONFLICT');
      if (answered.isErased) throw refusal('IDENTITY_ERASED');
      const present = this.people.get(draft.identity)?.templates;
      const templates = answered.answer.templates.filter(({ template }) => present?.has(template));
      return { ...answered.answer, templates, replayed: true };
    }
    const before = this.people.get(draft.identity);
    if ((before?.templates.size ?? 0) + draft.templates.length > this.#settings.templatesPerIdentityMax) {
      throw refusal('LIMIT_EXCEEDED');
    }
    if (duplicates.length > 0 && (draft.duplicates ?? this.#settings.duplicates) === 'refuse') {
      throw refusal('DUPLICATE_FACE');
    }
    const person: Person = before ?? {
      label: '',
      groups: [],
      attributes: {},
      version: 0,
      createdAt: nowMs,
      updatedAt: nowMs,
      templates: new Map(),
    };
    person.label = draft.label ?? person.label;
    person.groups = draft.groups ?? person.groups;
    person.attributes = draft.attributes ?? person.attributes;
    person.version++;
    person.updatedAt = nowMs;
    const templates = draft.templates.map(({ vector, ...rest }): Template => {
      const view = { template: this.#nextTemplate++, ...rest, enrolledAt: new Date(nowMs) };
      person.templates.set(view.template, { view, vector });
      return view;
    });
    this.people.set(draft.identity, person);
    const answer = { created: !before, templates, duplicates, sequence: ++this.sequence, replayed: false };
    if (idempotency)
      this.answered.set(idempotency.key, { draft, digest: idempotency.digest, at: nowMs, answer, isErased: false });
    return answer;
  }

  updateIdentity(
    update: {
      readonly identity: string;
      readonly label?: string | undefined;
      readonly groups?: readonly string[] | undefined;
      readonly attributes?: Readonly<Record<string, string>> | undefined;
      readonly expectedVersion?: number | undefined;
    },
    nowMs: number,
  ): Identity {
    const person = this.#person(update.identity);
    if (update.expectedVersion !== undefined && update.expectedVersion !== person.version) {
      throw refusal('VERSION_CONFLICT');
    }
    person.label = update.label ?? person.label;
    person.groups = update.groups ?? person.groups;
    person.attributes = update.attributes ?? person.attributes;
    this.#touch(person, nowMs);
    return this.getIdentity(update.identity);
  }

  removeTemplate(identity: string, template: number, nowMs: number): Identity {
    const person = this.#person(identity);
    if (!person.templates.delete(template)) throw refusal('TEMPLATE_NOT_FOUND');
    this.#touch(person, nowMs);
    return this.getIdentity(identity);
  }

  eraseIdentity(identity: string): ErasureInBrief {
    const person = this.people.get(identity);
    if (!person) return { existed: false, templatesErased: 0, sequence: this.sequence };
    this.people.delete(identity);
    for (const [key, answered] of this.answered) {
      if (answered.draft.identity === identity && !answered.isErased)
        this.answered.set(key, { ...answered, isErased: true });
    }
    return { existed: true, templatesErased: person.templates.size, sequence: ++this.sequence };
  }

  updateSettings(change: GalleryChange): Gallery {
    const given = Object.entries(change).filter(([, value]) => value !== undefined);
    this.#settings = { ...this.#settings, ...Object.fromEntries(given) };
    this.sequence++;
    return this.view();
  }

  #touch(person: Person, nowMs: number): void {
    person.version++;
    person.updatedAt = nowMs;
    this.sequence++;
  }

  #person(identity: string): Person {
    const person = this.people.get(identity);
    if (!person) throw refusal('IDENTITY_NOT_FOUND');
    return person;
  }

  // ── Reads ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  getIdentity(identity: string): Identity {
    const { label, groups, attributes, templates, version, createdAt, updatedAt } = this.#person(identity);
    return {
      gallery: this.name,
      identity,
      label,
      groups,
      attributes,
      templates: Array.from(templates.values(), ({ view }) => view),
      version,
      createdAt: new Date(createdAt),
      updatedAt: new Date(updatedAt),
    };
  }

  listIdentities(after: string | undefined, limit: number, groups: readonly string[] | undefined): readonly Identity[] {
    return [...this.people]
      .filter(([, person]) => isMember(person, groups))
      .map(([identity]) => identity)
      .filter((identity) => after === undefined || inBytes(identity, after) > 0)
      .toSorted(inBytes)
      .slice(0, limit)
      .map((identity) => this.getIdentity(identity));
  }

  /** The k nearest people by brute force, each with the nearest template. */
  nearest(probe: UnitVector, k: number, groups?: readonly string[], exclude?: string): readonly Candidate[] {
    const found: Candidate[] = [];
    for (const [identity, person] of this.people) {
      if (identity === exclude || !isMember(person, groups)) continue;
      const nearest = nearestFace(person, probe);
      if (nearest) found.push({ identity, label: person.label, groups: person.groups, ...nearest });
    }
    return found.toSorted((a, b) => a.distance - b.distance || inBytes(a.identity, b.identity)).slice(0, k);
  }

  verify(identity: string, probe: UnitVector, ownThreshold: number | undefined): object {
    const nearest = nearestFace(this.#person(identity), probe);
    if (!nearest) throw refusal('TEMPLATE_NOT_FOUND');
    const threshold = ownThreshold ?? this.#settings.threshold;
    return { decision: nearest.distance <= threshold ? 'match' : 'no-match', ...nearest, threshold };
  }
}

export function nearestFace(
  { templates }: Person,
  probe: UnitVector,
): { readonly template: number; readonly distance: number } | undefined {
  let nearest: { readonly template: number; readonly distance: number } | undefined;
  for (const [template, { vector }] of templates) {
    const distance = squaredDistance(probe, vector);
    if (!nearest || distance < nearest.distance) nearest = { template, distance };
  }
  return nearest;
}

function isMember({ groups: own }: Person, groups: readonly string[] | undefined): boolean {
  return !groups || own.some((group) => groups.includes(group));
}

function inBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

export function refusal(code: ErrorCode): HarmonidError {
  return new HarmonidError(code, `the model refuses with ${code}`);
}
