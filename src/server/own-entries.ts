/** What a server itself puts into the audit log: that it began and ended, who was refused at the door, and who may come in from now on. */
import { actorOf, whyClosed, type AccessEntry, type AccessList } from '../access/access-list.js';
import { own, type AuditEntry } from '../audit/audit-line.js';
import type { AuditSink } from '../audit/recorder.js';
import { version } from '../version.js';
import type { Refusal } from './guard.js';

export class OwnEntries {
  readonly #sink: AuditSink | undefined;
  #list: AccessList = [];

  constructor(sink: AuditSink | undefined) {
    this.#sink = sink;
  }

  /** @throws AUDIT_UNAVAILABLE */
  async began(address: string, list: AccessList | null): Promise<void> {
    this.#list = list ?? [];
    const open = list?.filter((entry) => whyClosed(entry, new Date()) === null).map(shown) ?? null;
    await this.#sink?.append({ ...own, action: 'serve', facts: { began: address, version, open } });
  }

  /** That it cannot be recorded keeps nobody from stopping. */
  async ended(): Promise<void> {
    await this.#note({ ...own, action: 'serve', facts: { ended: true } });
  }

  /** Guesses beyond what an address may make are counted elsewhere: they would fill the log. */
  refused({ method, peer, actor, error }: Refusal): void {
    if (error.code === 'OVERLOADED') return;
    void this.#note({
      ...own,
      action: 'refused',
      actor: actor ?? 'unknown',
      peer,
      outcome: error.code,
      facts: { method },
    });
  }

  listChanged(list: AccessList): void {
    const before = new Map(this.#list.map((entry) => [keyOf(entry), entry]));
    const added = list.filter((entry) => !before.has(keyOf(entry))).map(shown);
    const revoked = list
      .filter((entry) => entry.revokedAt !== null && before.get(keyOf(entry))?.revokedAt === null)
      .map(actorOf);
    const here = new Set(list.map(keyOf));
    const removed = this.#list.filter((entry) => !here.has(keyOf(entry))).map(actorOf);
    this.#list = list;
    void this.#note({ ...own, action: 'keys', facts: { added, revoked, removed } });
  }

  /** The log warns by itself when it cannot be written. */
  async #note(entry: AuditEntry): Promise<void> {
    await this.#sink?.append(entry).catch(() => undefined);
  }
}

function keyOf(entry: AccessEntry): string {
  return entry.kind === 'key' ? entry.id : `${entry.subject} ${entry.createdAt.toISOString()}`;
}

function shown(entry: AccessEntry): object {
  return { actor: actorOf(entry), permissions: entry.permissions, galleries: entry.galleries };
}
