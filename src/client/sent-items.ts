/**
 * Items of a stream on their way to the wire. One that cannot be sent goes as an empty one, which the server refuses in its turn; its own
 * error takes the place of that answer.
 */
import { asHarmonidError, type HarmonidError } from '../errors.js';

export class SentItems<Item, Sent> {
  readonly #items: AsyncIterable<Item> | Iterable<Item>;
  readonly #format: (item: Item) => Sent;
  readonly #unsent = new Map<number, { readonly item: Item; readonly error: HarmonidError }>();

  constructor(items: AsyncIterable<Item> | Iterable<Item>, format: (item: Item) => Sent) {
    this.#items = items;
    this.#format = format;
  }

  /** Undefined in the place of an item that cannot be sent. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Sent | undefined, void, void> {
    let index = 0;
    for await (const item of this.#items) {
      yield this.#formatted(index, item);
      index++;
    }
  }

  /** The item that the answer of this index is about, and why it was not sent; undefined when it was. */
  takeUnsent(index: number): { readonly item: Item; readonly error: HarmonidError } | undefined {
    const unsent = this.#unsent.get(index);
    this.#unsent.delete(index);
    return unsent;
  }

  #formatted(index: number, item: Item): Sent | undefined {
    try {
      return this.#format(item);
    } catch (error) {
      this.#unsent.set(index, { item, error: asHarmonidError(error) });
      return undefined;
    }
  }
}
