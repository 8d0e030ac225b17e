/**
 * Messages that leave together. Handing over to a thread costs some ten microseconds, whatever is handed over: what comes up in one turn of the event loop goes in one
 * message, in its order. Nothing waits longer than for the end of the turn.
 */

/** What `postMessage` of a worker and of its port takes. */
export type Post<Message> = (messages: readonly Message[], transfer: readonly ArrayBuffer[]) => void;

export class Outbox<Message> {
  readonly #post: Post<Message>;
  #messages: Message[] = [];
  #transfer: ArrayBuffer[] = [];

  constructor(post: Post<Message>) {
    this.#post = post;
  }

  /** @param transfer buffers within the message that the other side gets and this one loses */
  put(message: Message, transfer: readonly ArrayBuffer[] = []): void {
    if (this.#messages.length === 0) setImmediate(() => this.flush());
    this.#messages.push(message);
    this.#transfer.push(...transfer);
  }

  /** At once. */
  flush(): void {
    if (this.#messages.length === 0) return;
    const [messages, transfer] = [this.#messages, this.#transfer];
    this.#messages = [];
    this.#transfer = [];
    this.#post(messages, transfer);
  }
}
