/** Writes the entries of one asker, in the order that each kind of work wants: a decision before it is given, a change before it is done and after. */
import { asHarmonidError } from '../errors.js';
import type { AuditAction, AuditEntry, AuditFacts } from './audit-line.js';

/** What is needed of a log; `AuditLog` has it. */
export interface AuditSink {
  append(entry: AuditEntry): Promise<void>;
}

/** Who asks, as the entries say it. */
export interface Asker {
  readonly actor: string;
  readonly peer: string | null;
  readonly requestId: string | null;
}

export interface Subject {
  readonly action: AuditAction;
  readonly gallery?: string | null | undefined;
  readonly identity?: string | undefined;
  readonly facts?: AuditFacts | undefined;
}

/** Entries of one asker. */
export class Recorder {
  readonly #sink: AuditSink;
  readonly #asker: Asker;

  constructor(sink: AuditSink, asker: Asker) {
    this.#sink = sink;
    this.#asker = asker;
  }

  /** Done first, then recorded, then answered. */
  async decision<T>(subject: Subject, work: () => Promise<T>, factsOf: (answer: T) => AuditFacts): Promise<T> {
    let answer: T;
    try {
      answer = await work();
    } catch (error) {
      await this.#write(subject, codeOf(error));
      throw error;
    }
    await this.#write(subject, 'OK', factsOf(answer));
    return answer;
  }

  /** On record as begun, then done, then its outcome. */
  async change<T>(
    subject: Subject,
    work: () => Promise<T>,
    factsOf: (answer: T) => AuditFacts = () => ({}),
  ): Promise<T> {
    await this.begin(subject);
    let answer: T;
    try {
      answer = await work();
    } catch (error) {
      await this.settle(subject, codeOf(error));
      throw error;
    }
    await this.settle(subject, 'OK', factsOf(answer));
    return answer;
  }

  /** What the items of a stream sum up to is told at its end, however it ends. */
  async *stream<T>(
    subject: Subject,
    items: () => AsyncIterable<T>,
    count: (item: T) => void,
    sum: () => AuditFacts,
  ): AsyncGenerator<T> {
    await this.begin(subject);
    let outcome = 'CANCELLED';
    try {
      for await (const item of items()) {
        count(item);
        yield item;
      }
      outcome = 'OK';
    } catch (error) {
      outcome = codeOf(error);
      throw error;
    } finally {
      await this.settle(subject, outcome, sum());
    }
  }

  /** Nothing may be done before this has resolved. */
  begin(subject: Subject): Promise<void> {
    return this.#write(subject, 'begun');
  }

  /** The outcome of what is on record as begun. That it cannot be written changes nothing any more: the log warns by itself. */
  async settle(subject: Subject, outcome: string, facts?: AuditFacts): Promise<void> {
    await this.#write(subject, outcome, facts).catch(() => undefined);
  }

  async #write(
    { action, gallery = null, identity, facts }: Subject,
    outcome: string,
    more: AuditFacts = {},
  ): Promise<void> {
    await this.#sink.append({
      action,
      ...this.#asker,
      gallery,
      identity: identity ?? null,
      outcome,
      facts: { ...facts, ...more },
    });
  }
}

export function codeOf(error: unknown): string {
  return asHarmonidError(error).code;
}
