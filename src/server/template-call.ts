/**
 * AdminService.ImportTemplates: options, then templates in, a result a template out.
 *
 * What an item lacks is refused as that item's result; options in a wrong place, or wrong ones, end the call.
 */
import type { Database, ExportedTemplate } from '../api.js';
import { asHarmonidError, HarmonidError } from '../errors.js';
import { wireErrorOf } from '../wire/error-status.js';
import type { ImportTemplatesRequest, ImportTemplatesResponse } from '../wire/harmonid/v1/admin.js';
import { formatTemplate, parseExported } from '../wire/templates.js';
import type { CallContext } from './calls.js';
import { parseImportOptions } from './parse.js';

export async function* receiveTemplates(
  database: Database,
  requests: AsyncIterable<ImportTemplatesRequest>,
  call: CallContext,
): AsyncIterable<ImportTemplatesResponse> {
  const stream = requests[Symbol.asyncIterator]();
  try {
    const first = await stream.next();
    if (first.done) return;
    const part = first.value.part;
    const options = part?.$case === 'options' ? part.value : undefined;
    const rest = { [Symbol.asyncIterator]: () => stream };
    const items = new WireItems(options ? rest : after(first.value, rest));
    for await (const result of database.importTemplates(items.parsed(), parseImportOptions(options, call))) {
      const { index, identity, answer } = result;
      const error = items.takeRefusal(index) ?? result.error;
      yield answer
        ? {
            index,
            identity,
            result: { $case: 'answer', value: { ...answer, template: formatTemplate(answer.template) } },
          }
        : { index, identity, result: { $case: 'error', value: wireErrorOf(call.report(error)) } };
    }
  } finally {
    await stream.return?.();
  }
}

async function* after<T>(first: T, rest: AsyncIterable<T>): AsyncIterable<T> {
  yield first;
  yield* rest;
}

/** What the database refuses by itself: no gallery is in a space without a name. */
const nobodys: ExportedTemplate = {
  gallery: '',
  identity: '',
  label: '',
  groups: [],
  attributes: {},
  template: { template: 0, space: '', origin: 'native', quality: null, imageDigest: null, enrolledAt: new Date(0) },
  embedding: { space: '', vector: [] },
};

/** Items as the database takes them. One that is incomplete goes as nobody's, and its own refusal is kept for its answer. */
class WireItems {
  readonly #requests: AsyncIterable<ImportTemplatesRequest>;
  readonly #refusals = new Map<number, HarmonidError>();

  constructor(requests: AsyncIterable<ImportTemplatesRequest>) {
    this.#requests = requests;
  }

  async *parsed(): AsyncIterable<ExportedTemplate> {
    let index = 0;
    for await (const { part } of this.#requests) {
      if (part?.$case === 'options') throw invalidArgument('options came later than as the first message');
      yield this.#parse(index, part?.value);
      index++;
    }
  }

  /** Why the item with this index is incomplete; undefined when it is not. */
  takeRefusal(index: number): HarmonidError | undefined {
    const refusal = this.#refusals.get(index);
    this.#refusals.delete(index);
    return refusal;
  }

  #parse(index: number, item: Parameters<typeof parseExported>[0] | undefined): ExportedTemplate {
    try {
      if (!item) throw invalidArgument('item is missing');
      return parseExported(item, (what) => invalidArgument(`the item lacks ${what}`));
    } catch (error) {
      this.#refusals.set(index, asHarmonidError(error));
      return { ...nobodys, identity: item?.identity ?? '' };
    }
  }
}

function invalidArgument(message: string): HarmonidError {
  return new HarmonidError('INVALID_ARGUMENT', message);
}
