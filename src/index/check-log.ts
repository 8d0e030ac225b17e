/**
 * A gallery's checkpoint, change log and answers in a check: what was done, and when.
 */
import { asHarmonidError } from '../errors.js';
import { verifyGraphFile } from './checkpoint.js';
import { verifyEngineFile } from './engine-file.js';
import { naming, type CheckedGallery, type Findings, type Tally } from './check-tally.js';
import { readRecord, type CheckView } from './check-view.js';
import {
  answerCodec,
  changeCodec,
  checkpointCodec,
  keys,
  markCodec,
  ranges,
  type CheckpointRecord,
  type LaneRecord,
} from './codec.js';
import { lanesOf } from './lanes.js';
import { damage, type Damage } from './findings.js';
import { graphKeyContext } from './keyring.js';

/** @returns the sequences of the checkpoints that can be read */
export async function* checkCheckpoints(
  view: CheckView,
  gallery: CheckedGallery,
): AsyncGenerator<Damage, readonly number[], void> {
  const sequences: number[] = [];
  for (const lane of lanesOf(gallery.record)) {
    const checkpoint = yield* checkCheckpoint(view, gallery, lane);
    if (checkpoint) sequences.push(checkpoint.sequence);
  }
  return sequences;
}

async function* checkCheckpoint(
  view: CheckView,
  gallery: CheckedGallery,
  { lane, dimensions, space }: LaneRecord,
): AsyncGenerator<Damage, CheckpointRecord | null, void> {
  const { number } = gallery.record;
  const key = keys.checkpoint(number, lane);
  const value = view.reader.get('checkpoints', key);
  if (!value) return null;
  const read = readRecord(() => checkpointCodec.decode(key, value), { table: 'checkpoints', key, gallery: number });
  if (read.problem) {
    yield read.problem;
    return null;
  }
  const { file } = read.value;
  const isOther = file && (file.dimensions !== dimensions || file.space !== space);
  const mend = { kind: 'drop-checkpoint', key, file: file?.name ?? null } as const;
  if (isOther) {
    const message = `its checkpoint is of ${file.dimensions} dimensions and space "${file.space}", the lane of ${dimensions} and "${space}"`;
    yield naming(gallery)('checkpoint', 'checkpoints', key, message, mend);
  } else if (file) {
    view.countFile();
    const problem = await graphFileProblem(view, file);
    // A newer checkpoint may have taken its place meanwhile, and its file with it.
    const isCurrent = !view.live || view.live.get('checkpoints', key)?.equals(value);
    if (problem !== undefined && isCurrent) {
      yield damage({ kind: 'graph-file', where: `graphs/${file.name}`, message: problem, mend, gallery: number });
    }
  }
  return read.value;
}

async function graphFileProblem(
  { path, keyring }: CheckView,
  file: NonNullable<CheckpointRecord['file']>,
): Promise<string | undefined> {
  try {
    await (file.root ? verifyEngineFile(path, file) : verifyGraphFile(path, file));
    if (keyring && keyring !== 'missing') {
      if (file.key === undefined) return `graph file ${file.name} has no key, the directory is encrypted`;
      keyring.unwrap(graphKeyContext(file.name), file.key);
    }
    return undefined;
  } catch (error) {
    return asHarmonidError(error).message;
  }
}

export async function* checkChanges(
  view: CheckView,
  gallery: CheckedGallery,
  /** Of the checkpoints. */
  sequences: readonly number[],
  tally: Tally,
): Findings {
  const { number, sequence } = gallery.record;
  const saved = sequences.length > 0 ? Math.min(...sequences) : undefined;
  let first: number | undefined;
  let last: number | undefined;
  let gap: string | undefined;
  for await (const { key, value } of view.entries('changes', ranges.gallery(number))) {
    const read = readRecord(() => changeCodec.decode(key, value), { table: 'changes', key, gallery: number });
    if (read.problem) yield read.problem;
    else {
      const { owner, added } = read.value;
      tally.owner = Math.max(tally.owner, owner ?? -1);
      for (const template of added) tally.template = Math.max(tally.template, template);
    }
    if (key.length !== 10) continue;
    const current = key.readUIntBE(4, 6);
    if (last !== undefined && current !== last + 1) gap ??= `change ${last} is followed by ${current}`;
    first ??= current;
    last = current;
  }
  tally.sequence = last ?? 0;
  if (first === undefined || last === undefined) {
    // Without a checkpoint nothing needs a log: it was emptied on purpose.
    if (saved !== undefined && saved < sequence) {
      gap = `the change log is empty, the gallery is at change ${sequence}, its checkpoint at ${saved}`;
    }
  } else if (saved !== undefined && first > saved + 1) {
    gap ??= `the change log begins with ${first}, the checkpoint holds up to ${saved}`;
  } else if (last < sequence) {
    gap ??= `the change log ends with ${last}, the gallery is at ${sequence}`;
  }
  if (gap !== undefined) {
    const key = keys.change(number, first ?? 0);
    yield naming(gallery)('change-log', 'changes', key, gap, { kind: 'drop-log', number });
  }
}

/** An answer without its expiry would be kept for ever. An expiry may outlive its answer: the key was used again. */
export async function* checkAnswers(view: CheckView, gallery: CheckedGallery): Findings {
  const { number } = gallery.record;
  for await (const { key, value } of view.entries('idempotency', ranges.gallery(number))) {
    const read = readRecord(() => answerCodec.decode(key, value), { table: 'idempotency', key, gallery: number });
    if (read.problem) {
      yield read.problem;
      continue;
    }
    const name = key.toString('utf8', 4);
    const expiry = keys.expiry(number, read.value.at, name);
    if (view.reader.get('expiries', expiry)) continue;
    const message = `the answer under idempotency key "${name}" has no expiry`;
    yield naming(gallery)('answer', 'idempotency', key, message, {
      kind: 'put',
      table: 'expiries',
      key: expiry,
      value: markCodec.encode(expiry, {}),
    });
  }
  for await (const { key, value } of view.entries('expiries', ranges.gallery(number))) {
    const read = readRecord(() => markCodec.decode(key, value), { table: 'expiries', key, gallery: number });
    if (read.problem) yield read.problem;
  }
}
