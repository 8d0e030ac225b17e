/**
 * From what a caller shows to what is granted.
 *
 * Promises: who shows nothing that is known is nobody, and nobody is granted nothing, unless there is no list at all. A wrong key takes as long as a
 * right one and its answer does not tell what was wrong with it. Guesses are counted for each address, and beyond `guessesMax` they are not even looked at until
 * time has passed; a right key from the same address still opens, so that nobody can lock a door from outside.
 */
import { HarmonidError } from '../errors.js';
import { actorOf, whyClosed, type AccessEntry, type AccessList } from './access-list.js';
import { isKey, keyIdOf } from './api-key.js';
import { everything, type Grant } from './grant.js';
import { RateLimit } from './rate-limit.js';

export interface Caller {
  /** For logs and the audit: `key:door-1`, `cert:door-7`, `anonymous`. */
  readonly actor: string;
  readonly grant: Grant;
  /** What lets the caller in; null for everybody where there is no list. */
  readonly entry: AccessEntry | null;
}

/** What a caller shows. */
export interface Credentials {
  /** The text of a key. */
  readonly key: string | null;
  /** Signed by the server's own authority; null without one. */
  readonly certificate: CertificateNames | null;
  /** Where from, without the port. */
  readonly address: string;
}

export interface CertificateNames {
  readonly commonName: string;
  /** Each as OpenSSL prints it: `DNS:door-7.example`, `URI:spiffe://…`. */
  readonly alternativeNames: readonly string[];
}

/** Wrong keys an address may show at once, and how many more a minute. */
const guessesMax = 20;
const guessesPerSecond = 1 / 3;
/** A digest that no text has: comparing with it takes the time of a real one. */
const nobodysDigest = '0'.repeat(64);

export const anonymous: Caller = { actor: 'anonymous', grant: everything, entry: null };

export class Gatekeeper {
  readonly #clock: () => Date;
  readonly #guesses: RateLimit;
  #keys = new Map<string, AccessEntry & { readonly kind: 'key' }>();
  #certificates = new Map<string, AccessEntry>();
  readonly #rates = new Map<string, RateLimit>();
  #refused = 0;

  constructor(list: AccessList, clock: () => Date) {
    this.#clock = clock;
    this.#guesses = new RateLimit({ perSecond: guessesPerSecond, burst: guessesMax, clock });
    this.replace(list);
  }

  /** Attempts that were refused since the start. */
  get refused(): number {
    return this.#refused;
  }

  replace(list: AccessList): void {
    this.#keys = new Map(list.flatMap((entry) => (entry.kind === 'key' ? [[entry.id, entry]] : [])));
    const living = list.filter((entry) => entry.kind === 'certificate' && entry.revokedAt === null);
    this.#certificates = new Map(
      living.flatMap((entry) => (entry.kind === 'certificate' ? [[entry.subject, entry]] : [])),
    );
    this.#rates.clear();
  }

  /** @throws UNAUTHENTICATED, OVERLOADED for an address that guesses too much */
  admit(credentials: Credentials): Caller {
    const entry =
      credentials.key === null ? this.#byCertificate(credentials) : this.#byKey(credentials, credentials.key);
    const closed = whyClosed(entry, this.#clock());
    // The caller knew the secret: it may be told why it opens nothing any more.
    if (closed !== null) throw this.#refuse(`${actorOf(entry)} ${closed}`);
    return { actor: actorOf(entry), grant: entry, entry };
  }

  /** Whether what let the caller in still would. @throws UNAUTHENTICATED */
  recheck({ entry }: Caller): void {
    if (!entry) return;
    const now = entry.kind === 'key' ? this.#keys.get(entry.id) : this.#certificates.get(entry.subject);
    const closed = now ? whyClosed(now, this.#clock()) : 'is no longer on the list';
    if (closed !== null) throw this.#refuse(`${actorOf(entry)} ${closed}`);
  }

  /** Counts a call or an item of a stream. @throws OVERLOADED beyond what the entry allows a second */
  count({ entry }: Caller): void {
    if (!entry || entry.requestsPerSecondMax === null) return;
    const actor = actorOf(entry);
    let rate = this.#rates.get(actor);
    if (!rate) {
      const perSecond = entry.requestsPerSecondMax;
      // What was not used is kept for ten seconds: callers come in bursts.
      rate = new RateLimit({ perSecond, burst: Math.max(1, 10 * perSecond), clock: this.#clock });
      this.#rates.set(actor, rate);
    }
    if (rate.take(actor)) return;
    throw overloaded(
      `${actor} may ask ${entry.requestsPerSecondMax} times a second`,
      1000 / entry.requestsPerSecondMax,
    );
  }

  #byKey({ address }: Credentials, key: string): AccessEntry {
    const id = keyIdOf(key);
    const entry = id === null ? undefined : this.#keys.get(id);
    const isRight = isKey(key, entry?.digest ?? nobodysDigest);
    if (entry && isRight) return entry;
    throw this.#refuseGuess(address, 'the key is not one of this server’s');
  }

  #byCertificate({ certificate, address }: Credentials): AccessEntry {
    if (certificate === null)
      throw this.#refuseGuess(address, 'a key is wanted: metadata `authorization: Bearer hmd_…`');
    for (const name of [certificate.commonName, ...certificate.alternativeNames]) {
      const entry = this.#certificates.get(name);
      if (entry) return entry;
    }
    throw this.#refuseGuess(address, `the certificate of "${certificate.commonName}" is not on this server’s list`);
  }

  #refuseGuess(address: string, message: string): HarmonidError {
    if (this.#guesses.take(address)) return this.#refuse(message);
    this.#refused++;
    return overloaded('too many wrong keys from this address', 1000 / guessesPerSecond);
  }

  #refuse(message: string): HarmonidError {
    this.#refused++;
    return new HarmonidError('UNAUTHENTICATED', message);
  }
}

/** A name with special characters stands in quotes, so that it cannot be taken for several. */
const alternativeName = /(?:[^,"]|"(?:[^"\\]|\\.)*")+/g;

/** Names of a certificate, as Node's TLS sockets tell them, that was found to be signed by the server's own authority. */
export function namesOf(certificate: {
  readonly subject: { readonly CN?: string | readonly string[] | undefined };
  readonly subjectaltname?: string | undefined;
}): CertificateNames {
  const { CN } = certificate.subject;
  return {
    // Of several common names none is the name.
    commonName: typeof CN === 'string' ? CN : '',
    alternativeNames: (certificate.subjectaltname?.match(alternativeName) ?? []).map((name) => name.trim()),
  };
}

function overloaded(message: string, retryAfterMs: number): HarmonidError {
  return new HarmonidError('OVERLOADED', message, { details: { retryAfterMs: Math.ceil(retryAfterMs) } });
}
