/**
 * Somebody who goes on using the server during the attacks: searches by vector and by photo, enrolls and erases a person of their own.
 *
 * Promises: an answer that is wrong, refused or not there after `hangMs` is told; one that comes late is not, nor is a refusal for
 * overload that ends before that.
 */
import { connectDatabase, type RemoteDatabase } from '../../src/client/remote-database.js';
import { isHarmonidError } from '../../src/errors.js';
import { keptGallery, whatIsWrong, type KeptPeople } from './people.js';
import { hangMs } from './wire-call.js';

const ownName = 'canary';

export class Canary {
  readonly database: RemoteDatabase;
  readonly #onFault: (text: string) => void;
  #answers = 0;
  readonly #slowestMs = new Map<string, number>();

  constructor(port: number, onFault: (text: string) => void) {
    this.database = connectDatabase({ address: `127.0.0.1:${port}`, deadlineMs: hangMs });
    this.#onFault = onFault;
  }

  get answers(): number {
    return this.#answers;
  }

  /** By what was asked, milliseconds. */
  get slowestMs(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#slowestMs);
  }

  /** Goes on until `until` fires; ends with everything answered. */
  async sing(people: KeptPeople, until: AbortSignal): Promise<void> {
    for (let turn = 0; !until.aborted; turn++) await this.singOnce(people, turn);
  }

  async singOnce(people: KeptPeople, turn: number): Promise<void> {
    await this.#expect('search by vector', () => whatIsWrong(this.database, people.vectorProbe(turn)));
    await this.#expect('search by photo', () => whatIsWrong(this.database, people.photoProbe(turn)));
    await this.#expect('a person comes and goes', () => this.#comeAndGo(people));
  }

  async #comeAndGo(people: KeptPeople): Promise<string | undefined> {
    const embedding = { space: people.space, vector: people.strangerVector() };
    const probe = { identity: ownName, sample: { embedding } };
    await this.database.enroll({ gallery: keptGallery, identity: ownName, embeddings: [embedding] });
    const afterEnrolment = await whatIsWrong(this.database, probe);
    if (afterEnrolment !== undefined) return afterEnrolment;
    const { existed } = await this.database.eraseIdentity({ gallery: keptGallery, identity: ownName });
    if (!existed) return 'the enrolled one was not there to be erased';
    const { candidates } = await this.database.identify({ gallery: keptGallery, embedding });
    return candidates.some(({ identity }) => identity === ownName) ? 'the erased one was found' : undefined;
  }

  async #expect(what: string, ask: () => Promise<string | undefined>): Promise<void> {
    const startedMs = performance.now();
    for (;;) {
      try {
        const wrong = await ask();
        if (wrong !== undefined) this.#onFault(`${what}: ${wrong}`);
        break;
      } catch (error) {
        const isLate = performance.now() - startedMs > hangMs;
        if (isHarmonidError(error) && error.code === 'OVERLOADED' && !isLate) continue;
        this.#onFault(`${what}: ${isHarmonidError(error) ? `${error.code}: ${error.message}` : String(error)}`);
        break;
      }
    }
    this.#answers++;
    this.#slowestMs.set(what, Math.max(this.#slowestMs.get(what) ?? 0, performance.now() - startedMs));
  }
}
