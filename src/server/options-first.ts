/** A stream of items before which options may come, once, as the first message. */
import { invalidArgument } from './parse.js';

/** What such a stream sends; neither when the message is empty. */
export interface OptionsOrItem<Options, Item> {
  readonly part?:
    | { readonly $case: 'options'; readonly value: Options }
    | { readonly $case: 'item'; readonly value: Item }
    | undefined;
}

/**
 * What `answer` makes of the options and the items; an item is undefined where its message was empty. Without any message there is no
 * answer. @throws INVALID_ARGUMENT for options in another place
 */
export async function* answerItems<Options, Item, Answer>(
  requests: AsyncIterable<OptionsOrItem<Options, Item>>,
  answer: (options: Options | undefined, items: AsyncIterable<Item | undefined>) => AsyncIterable<Answer>,
): AsyncIterable<Answer> {
  const stream = requests[Symbol.asyncIterator]();
  try {
    const first = await stream.next();
    if (first.done) return;
    const { part } = first.value;
    const rest = { [Symbol.asyncIterator]: () => stream };
    yield* part?.$case === 'options'
      ? answer(part.value, itemsOf(rest))
      : answer(undefined, itemsOf(after(first.value, rest)));
  } finally {
    await stream.return?.();
  }
}

async function* after<T>(first: T, rest: AsyncIterable<T>): AsyncIterable<T> {
  yield first;
  yield* rest;
}

async function* itemsOf<Item>(requests: AsyncIterable<OptionsOrItem<unknown, Item>>): AsyncIterable<Item | undefined> {
  for await (const { part } of requests) {
    if (part?.$case === 'options') throw invalidArgument('options came later than as the first message', 'options');
    yield part?.value;
  }
}
