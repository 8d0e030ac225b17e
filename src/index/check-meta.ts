/**
 * The table `meta` in a check: what the directory says of itself.
 *
 * What follows from the rest is written anew by a repair; the lock is the holder's business.
 */
import { readRecord, lastKey, type CheckView } from './check-view.js';
import {
  chainCodec,
  formatCodec,
  formatVersion,
  holderCodec,
  keyParts,
  keys,
  markCodec,
  receiptCodec,
  unscrubbedCodec,
  type FormatRecord,
} from './codec.js';
import { brokenLinks } from './erasure-receipt.js';
import { damage, placeOf, type Damage, type Mend } from './findings.js';
import type { TableName } from './store.js';

const metaCodecs = [
  [keys.format(), formatCodec],
  [keys.holder(), holderCodec],
  [keys.chain(), chainCodec],
  [keys.settled(), markCodec],
] as const;

/** @returns the format record, when it can be read */
export async function* checkMeta(view: CheckView): AsyncGenerator<Damage, FormatRecord | undefined, void> {
  let format: FormatRecord | undefined;
  for await (const { key, value } of view.all('meta')) {
    const known = metaCodecs.find(([name]) => name.equals(key));
    const isPurge = key.length === 9 && key.subarray(0, 5).toString() === 'purge';
    const isUnscrubbed = key.length === 14 && key.subarray(0, 10).toString() === 'unscrubbed';
    const isDrop = key.length === 12 && key.subarray(0, 4).toString() === 'drop';
    const codec = known?.[1] ?? (isPurge || isDrop ? markCodec : isUnscrubbed ? unscrubbedCodec : undefined);
    if (!codec) {
      const message = `a record under ${key.toString('hex')}, which is no key of this table`;
      const mend = { kind: 'quarantine', table: 'meta', key } as const;
      yield damage({ kind: 'record', where: placeOf('meta', key), message, mend });
      continue;
    }
    const read = readRecord(() => codec.decode(key, value), { table: 'meta', key });
    if (!read.problem) {
      if (key.equals(keys.format())) format = formatCodec.decode(key, value);
    } else if (key.equals(keys.chain())) {
      const { kind, where, message } = read.problem;
      yield damage({ kind, where, message, mend: chainMend(view) });
    } else if (isPurge || isDrop) {
      // The gallery or lane is gone; what is left of it must still go.
      const mend = { kind: 'replace', table: 'meta', key, value: markCodec.encode(key, {}) } as const;
      yield damage({ kind: 'record', where: read.problem.where, message: read.problem.message, mend });
    } else if (isUnscrubbed) {
      const mend = {
        kind: 'replace',
        table: 'meta',
        key,
        value: unscrubbedCodec.encode(key, { sequence: 0 }),
      } as const;
      yield damage({ kind: 'record', where: read.problem.where, message: read.problem.message, mend });
    } else if (!key.equals(keys.format())) yield read.problem;
  }
  return format;
}

/** The end of the chain of receipts follows from them, if they hold together among themselves. */
function chainMend({ reader }: CheckView): Mend {
  const table = 'meta';
  const key = keys.chain();
  try {
    const receipts = Array.from(reader.range('receipts', Buffer.alloc(1), lastKey));
    const last = receipts.at(-1);
    if (!last) return { kind: 'quarantine', table, key };
    const { digest } = receiptCodec.decode(last.key, last.value);
    const value = chainCodec.encode(key, { count: keyParts.receipt(last.key), digest });
    const others = {
      ...reader,
      get: (name: TableName, at: Uint8Array) => (name === table && key.equals(at) ? value : reader.get(name, at)),
    };
    return brokenLinks(others).length === 0 ? { kind: 'replace', table, key, value } : { kind: 'none' };
  } catch {
    return { kind: 'none' };
  }
}

/** @param largest number of a gallery that was ever met */
export function* checkFormat(
  { reader, keyring }: CheckView,
  format: FormatRecord | undefined,
  largest: number,
): Generator<Damage, void, void> {
  const key = keys.format();
  const where = placeOf('meta', key);
  if (format && format.nextGalleryNumber > largest) return;
  const next = Math.max(format?.nextGalleryNumber ?? 1, largest + 1);
  const put = (record: FormatRecord): Mend => ({
    kind: 'replace',
    table: 'meta',
    key,
    value: formatCodec.encode(key, record),
  });
  if (format) {
    const message = `the next gallery would have number ${format.nextGalleryNumber}, number ${largest} is in use`;
    yield damage({ kind: 'format', where, message, mend: put({ ...format, nextGalleryNumber: next }) });
    return;
  }
  const message = reader.get('meta', key)
    ? 'the format record cannot be read'
    : `there is no format record, a directory of format ${formatVersion} has one`;
  const directory = keyring && keyring !== 'missing' ? { keyDirectory: keyring.directory } : {};
  const mend: Mend =
    keyring === 'missing' ? { kind: 'none' } : put({ format: formatVersion, nextGalleryNumber: next, ...directory });
  yield damage({ kind: 'format', where, message, mend });
}
