/**
 * The writes that a lane attempts: what each asks of the server, and what its person looks like afterwards.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { EnrollRequest } from '../../src/api.js';
import type { RemoteDatabase } from '../../src/client/remote-database.js';
import type { UnitVector } from '../../src/vector.js';
import type { Person, PersonState, WriteKind } from './ledger.js';
import { galleryName, spaceName } from './testimony.js';

/** What an answer to a write tells of it; 0 and nothing where it does not. */
export interface WriteAnswer {
  readonly sequence: number;
  readonly numbers: readonly number[];
}

export interface Attempt {
  readonly kind: WriteKind;
  readonly identity: string;
  readonly after: PersonState;
  /** Set when it may be asked again: with an idempotency key. */
  readonly request: EnrollRequest | null;
  readonly send: (database: RemoteDatabase) => Promise<WriteAnswer>;
}

export type Details = Partial<Pick<Person, 'label' | 'groups' | 'attributes'>>;

const untold: WriteAnswer = { sequence: 0, numbers: [] };

export interface EnrolmentPlan {
  readonly identity: string;
  readonly before: PersonState;
  readonly details: Details;
  readonly vectors: readonly UnitVector[];
  readonly idempotencyKey: string | undefined;
  /** How much later the same request is sent once more, milliseconds; null for not at all. */
  readonly echoDelayMs: number | null;
}

export function enrolment({ identity, before, details, vectors, idempotencyKey, echoDelayMs }: EnrolmentPlan): Attempt {
  const embeddings = vectors.map((vector) => ({ space: spaceName, vector }));
  const request: EnrollRequest = { gallery: galleryName, identity, ...details, embeddings, idempotencyKey };
  const kept = before ?? { label: '', groups: [], attributes: {}, version: 0, templates: [] };
  const added = vectors.map((vector) => ({ template: null, vector }));
  return {
    kind: before ? 'add templates' : 'enroll',
    identity,
    after: { ...kept, ...details, version: kept.version + 1, templates: [...kept.templates, ...added] },
    request: idempotencyKey === undefined ? null : request,
    send: (database) => enroll(database, request, echoDelayMs),
  };
}

/** The first answer counts, whichever it is: both are acknowledgements. */
async function enroll(
  database: RemoteDatabase,
  request: EnrollRequest,
  echoDelayMs: number | null,
): Promise<WriteAnswer> {
  const sent = [database.enroll(request)];
  if (echoDelayMs !== null) sent.push(delay(echoDelayMs).then(() => database.enroll(request)));
  try {
    const { sequence, templates } = await Promise.any(sent);
    return { sequence, numbers: templates.map(({ template }) => template) };
  } catch (error) {
    throw error instanceof AggregateError ? error.errors[0] : error;
  }
}

/** @param namesVersion whether the version that is expected goes along */
export function update(identity: string, person: Person, details: Details, namesVersion: 'named' | 'unnamed'): Attempt {
  return {
    kind: 'update',
    identity,
    after: { ...person, ...details, version: person.version + 1 },
    request: null,
    async send(database) {
      const expectedVersion = namesVersion === 'named' ? person.version : undefined;
      await database.updateIdentity({ gallery: galleryName, identity, ...details, expectedVersion });
      return untold;
    },
  };
}

export function removeTemplate(identity: string, person: Person, template: number): Attempt {
  const templates = person.templates.filter((each) => each.template !== template);
  return {
    kind: 'remove template',
    identity,
    after: { ...person, version: person.version + 1, templates },
    request: null,
    async send(database) {
      await database.removeTemplate({ gallery: galleryName, identity, template });
      return untold;
    },
  };
}

export function erase(identity: string): Attempt {
  return {
    kind: 'erase',
    identity,
    after: null,
    request: null,
    async send(database) {
      await database.eraseIdentity({ gallery: galleryName, identity });
      return untold;
    },
  };
}
