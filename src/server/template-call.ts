/**
 * AdminService.ImportTemplates: options, then templates in, a result a template out.
 *
 * What an item lacks is refused as that item's result; options in a wrong place, or wrong ones, end the call.
 */
import type { ExportedTemplate } from '../api.js';
import { asHarmonidError, type HarmonidError } from '../errors.js';
import { wireErrorOf } from '../wire/error-status.js';
import type {
  ExportTemplatesResponse as WireItem,
  ImportTemplatesOptions,
  ImportTemplatesRequest,
  ImportTemplatesResponse,
} from '../wire/harmonid/v1/admin.js';
import { formatTemplate, parseExported } from '../wire/templates.js';
import { givingWay } from './bulk-pace.js';
import type { CallContext } from './calls.js';
import { answerItems } from './options-first.js';
import { invalidArgument, parseImportOptions } from './parse.js';

export function receiveTemplates(
  requests: AsyncIterable<ImportTemplatesRequest>,
  call: CallContext,
): AsyncIterable<ImportTemplatesResponse> {
  return answerItems<ImportTemplatesOptions, WireItem, ImportTemplatesResponse>(requests, (options, items) =>
    importItems(options, new WireItems(givingWay(items, call.giveWay)), call),
  );
}

async function* importItems(
  options: ImportTemplatesOptions | undefined,
  items: WireItems,
  call: CallContext,
): AsyncIterable<ImportTemplatesResponse> {
  if (options?.createGallery) call.require('admin', 'making galleries in an import');
  for await (const result of call.database.importTemplates(items.parsed(), parseImportOptions(options, call))) {
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
  readonly #items: AsyncIterable<WireItem | undefined>;
  readonly #refusals = new Map<number, HarmonidError>();

  constructor(items: AsyncIterable<WireItem | undefined>) {
    this.#items = items;
  }

  async *parsed(): AsyncIterable<ExportedTemplate> {
    let index = 0;
    for await (const item of this.#items) {
      yield this.#parse(index, item);
      index++;
    }
  }

  /** Why the item with this index is incomplete; undefined when it is not. */
  takeRefusal(index: number): HarmonidError | undefined {
    const refusal = this.#refusals.get(index);
    this.#refusals.delete(index);
    return refusal;
  }

  #parse(index: number, item: WireItem | undefined): ExportedTemplate {
    try {
      if (!item) throw invalidArgument('item is missing', 'item');
      return parseExported(item, (what) => invalidArgument(`the item lacks ${what}`, 'item'));
    } catch (error) {
      this.#refusals.set(index, asHarmonidError(error));
      return { ...nobodys, identity: item?.identity ?? '' };
    }
  }
}
