/**
 * The records of one gallery against each other: identities and their templates are the truth, everything else follows from them.
 *
 * Promises: a record that cannot be read is told once, and nothing that depends on it is; whatever is hidden (see check-view.ts) counts
 * as there. Memory does not grow with the gallery but for a bit a template.
 */
import { checkAnswers, checkChanges, checkCheckpoints } from './check-log.js';
import { naming, type CheckedGallery, type Findings, type Tally } from './check-tally.js';
import { readRecord, type CheckView } from './check-view.js';
import {
  documentCodec,
  galleryCodec,
  identityCodec,
  keyParts,
  keys,
  markCodec,
  pairCodec,
  pointerCodec,
  ranges,
  templateCodec,
  type IdentityRecord,
  type LaneRecord,
} from './codec.js';
import { lanesOf, servingLane } from './lanes.js';
import { damage, type Damage } from './findings.js';

/** How far from 1 the norm of a stored vector may be. */
const normSlack = 1e-3;

export async function* checkGallery(view: CheckView, gallery: CheckedGallery): Findings {
  const tally: Tally = { identityCount: 0, templateCounts: new Map(), owner: -1, template: -1, sequence: 0 };
  yield* checkOwners(view, gallery, tally);
  yield* checkPointers(view, gallery, tally);
  yield* checkTemplates(view, gallery, tally);
  yield* checkMemberships(view, gallery);
  yield* checkPairs(view, gallery, tally);
  yield* checkDocuments(view, gallery);
  const sequences = yield* checkCheckpoints(view, gallery);
  yield* checkChanges(view, gallery, sequences, tally);
  yield* checkAnswers(view, gallery);
  tally.sequence = Math.max(tally.sequence, ...sequences);
  yield* checkNumbers(gallery, tally);
}

// ── People ───────────────────────────────────────────────────────────────────────────────────────────────────────────

async function* checkOwners(view: CheckView, gallery: CheckedGallery, tally: Tally): Findings {
  const { number } = gallery.record;
  for await (const { key, value } of view.entries('owners', ranges.gallery(number))) {
    tally.identityCount++;
    const owner = key.length === 8 ? keyParts.owned(key).owner : 0;
    tally.owner = Math.max(tally.owner, owner);
    const keyProblem = view.keyProblem(key);
    if (keyProblem !== undefined) {
      yield damage({
        kind: 'key',
        where: `keys of gallery ${number}, owner ${owner}`,
        message: keyProblem,
        gallery: number,
      });
    }
    const read = readRecord(() => decodeOwner(view, key, value), { table: 'owners', key, gallery: number });
    if (read.problem) yield read.problem;
    else if (read.value) yield* checkIdentity(view, gallery, owner, read.value);
  }
}

function decodeOwner(view: CheckView, key: Buffer, value: Buffer): IdentityRecord | undefined {
  const bytes = view.open('owners', { key, value });
  return bytes && identityCodec.decode(key, bytes);
}

/** From the identity to what leads to it. */
function* checkIdentity(
  view: CheckView,
  gallery: CheckedGallery,
  owner: number,
  { identity, groups }: IdentityRecord,
): Generator<Damage, void, void> {
  const finding = naming(gallery);
  const { number } = gallery.record;
  const pointerKey = keys.identity(number, identity);
  const mend = {
    kind: 'put',
    table: 'identities',
    key: pointerKey,
    value: pointerCodec.encode(pointerKey, { owner }),
  } as const;
  const pointer = view.reader.get('identities', pointerKey);
  if (!pointer) {
    const message = `owner ${owner} is identity "${identity}", to which no pointer leads`;
    yield finding('pointer', 'identities', pointerKey, message, mend);
  } else {
    const told = pointerOf(pointerKey, pointer);
    const other = told !== undefined && told !== owner ? view.owner(number, told) : undefined;
    if (other?.state === 'living' && other.record.identity === identity) {
      const message = `owners ${told} and ${owner} are both identity "${identity}", its pointer leads to ${told}`;
      const ownerKey = keys.owner(number, owner);
      yield finding('identity', 'owners', ownerKey, message, { kind: 'quarantine', table: 'owners', key: ownerKey });
      return;
    }
    // What is hidden may be of that name: then nobody can say whose the pointer is.
    if (other && other.state !== 'hidden') {
      const message = `the pointer of identity "${identity}" leads to owner ${told}, its record is that of owner ${owner}`;
      yield finding('pointer', 'identities', pointerKey, message, mend);
    }
  }
  for (const group of groups) {
    const key = keys.membership(number, group, owner);
    if (view.reader.get('memberships', key)) continue;
    const message = `identity "${identity}" is in group "${group}", which does not list it`;
    yield finding('membership', 'memberships', key, message, {
      kind: 'put',
      table: 'memberships',
      key,
      value: markCodec.encode(key, {}),
    });
  }
}

/** Undefined when it cannot be read, which is told where pointers are looked at. */
function pointerOf(key: Buffer, value: Buffer): number | undefined {
  try {
    return pointerCodec.decode(key, value).owner;
  } catch {
    return undefined;
  }
}

async function* checkPointers(view: CheckView, gallery: CheckedGallery, tally: Tally): Findings {
  const { number } = gallery.record;
  for await (const { key, value } of view.entries('identities', ranges.gallery(number))) {
    const read = readRecord(() => pointerCodec.decode(key, value), { table: 'identities', key, gallery: number });
    if (read.problem) {
      yield read.problem;
      continue;
    }
    const { owner } = read.value;
    tally.owner = Math.max(tally.owner, owner);
    const led = view.owner(number, owner);
    // A pointer to somebody else is told, and mended, from the side of the identity, if there is one of its name.
    const identity = keyParts.identity(key);
    if (led.state === 'hidden' || (led.state === 'living' && led.record.identity === identity)) continue;
    const there = led.state === 'missing' ? 'who is not there' : `who is "${led.record.identity}"`;
    const message = `the pointer of identity "${identity}" leads to owner ${owner}, ${there}`;
    yield naming(gallery)('pointer', 'identities', key, message, { kind: 'quarantine', table: 'identities', key });
  }
}

async function* checkTemplates(view: CheckView, gallery: CheckedGallery, tally: Tally): Findings {
  const { number } = gallery.record;
  const lanes = lanesOf(gallery.record);
  const seen = new Map(lanes.map(({ lane }) => [lane, new NumberSet()]));
  for await (const { key, value } of view.entries('templates', ranges.gallery(number))) {
    const isWhole = key.length === 12 || key.length === 16;
    const { owner, template, lane: laneNumber } = isWhole ? keyParts.template(key) : { owner: 0, template: 0, lane: 0 };
    const lane = lanes.find((one) => one.lane === laneNumber);
    // What is left of a lane that was dropped goes by itself.
    if (!lane && view.reader.get('meta', keys.drop(number, laneNumber))) continue;
    tally.templateCounts.set(laneNumber, (tally.templateCounts.get(laneNumber) ?? 0) + 1);
    tally.owner = Math.max(tally.owner, owner);
    tally.template = Math.max(tally.template, template);
    const isTwice = seen.get(laneNumber)?.add(template) === false;
    const read = readRecord(() => templateProblem(view, lane, key, value), {
      table: 'templates',
      key,
      gallery: number,
    });
    if (read.problem) {
      yield read.problem;
      continue;
    }
    const isWithoutOwner = view.owner(number, owner).state === 'missing';
    const problem = isWithoutOwner
      ? `belongs to owner ${owner}, who is not there`
      : isTwice
        ? 'has the number of another one'
        : read.value;
    if (problem === undefined) continue;
    const message = `template ${template} of owner ${owner} ${problem}`;
    yield naming(gallery)('template', 'templates', key, message, { kind: 'quarantine', table: 'templates', key });
  }
}

/** @throws DATA_CORRUPT */
function templateProblem(
  view: CheckView,
  lane: LaneRecord | undefined,
  key: Buffer,
  value: Buffer,
): string | undefined {
  const bytes = view.open('templates', { key, value });
  if (!lane) return `is of lane ${keyParts.template(key).lane}, which its gallery does not have`;
  if (!bytes) return undefined;
  const { space, vector } = templateCodec.decode(key, bytes, lane.dimensions);
  if (space !== lane.space) return `is of space "${space}", its gallery of "${lane.space}"`;
  let sum = 0;
  for (const component of vector) sum += component * component;
  const norm = Math.sqrt(sum);
  // Written so that what is no number fails, too.
  return Math.abs(norm - 1) <= normSlack ? undefined : `has a vector of norm ${norm}, a unit vector has 1`;
}

async function* checkMemberships(view: CheckView, gallery: CheckedGallery): Findings {
  const { number } = gallery.record;
  for await (const { key, value } of view.entries('memberships', ranges.gallery(number))) {
    const read = readRecord(() => markCodec.decode(key, value), { table: 'memberships', key, gallery: number });
    if (read.problem) {
      yield read.problem;
      continue;
    }
    const owner = keyParts.member(key);
    const group = key.toString('utf8', 4, key.length - 5);
    const member = view.owner(number, owner);
    if (member.state === 'hidden' || (member.state === 'living' && member.record.groups.includes(group))) continue;
    const there = member.state === 'missing' ? 'who is not there' : `"${member.record.identity}", who is not in it`;
    const message = `group "${group}" lists owner ${owner}, ${there}`;
    yield naming(gallery)('membership', 'memberships', key, message, { kind: 'quarantine', table: 'memberships', key });
  }
}

/** Whose they are need not be enrolled. */
async function* checkPairs(view: CheckView, gallery: CheckedGallery, tally: Tally): Findings {
  const { number } = gallery.record;
  for await (const { key, value } of view.entries('pairs', ranges.gallery(number))) {
    if (key.length === 12) tally.owner = Math.max(tally.owner, keyParts.owned(key).owner);
    const decode = (): unknown => {
      const bytes = view.open('pairs', { key, value });
      return bytes && pairCodec.decode(key, bytes);
    };
    const { problem } = readRecord(decode, { table: 'pairs', key, gallery: number });
    if (problem) yield problem;
  }
  for await (const { key, value } of view.entries('contributors', ranges.gallery(number))) {
    const read = readRecord(() => pointerCodec.decode(key, value), { table: 'contributors', key, gallery: number });
    if (read.problem) yield read.problem;
    else tally.owner = Math.max(tally.owner, read.value.owner);
  }
}

async function* checkDocuments(view: CheckView, { record: { number } }: CheckedGallery): Findings {
  for await (const { key, value } of view.entries('documents', ranges.gallery(number))) {
    const decode = (): unknown => documentCodec.decode(key, value);
    const { problem } = readRecord(decode, { table: 'documents', key, gallery: number });
    if (problem) yield problem;
  }
}

// ── The gallery's own record ─────────────────────────────────────────────────────────────────────────────────────────

function* checkNumbers({ name, record }: CheckedGallery, tally: Tally): Generator<Damage, void, void> {
  const countIn = ({ lane }: LaneRecord): number => tally.templateCounts.get(lane) ?? 0;
  const right = {
    identityCount: tally.identityCount,
    templateCount: countIn(servingLane(record)),
    nextOwner: Math.max(record.nextOwner, tally.owner + 1),
    nextTemplate: Math.max(record.nextTemplate, tally.template + 1),
    sequence: Math.max(record.sequence, tally.sequence),
  };
  const key = keys.gallery(name);
  const mend = {
    kind: 'put',
    table: 'galleries',
    key,
    value: galleryCodec.encode(key, {
      ...record,
      ...right,
      ...(record.beside && { beside: { ...record.beside, templateCount: countIn(record.beside) } }),
    }),
  } as const;
  if (record.beside && record.beside.templateCount !== countIn(record.beside)) {
    const message = `its record says ${record.beside.templateCount} templates in the lane beside, its records make it ${countIn(record.beside)}`;
    yield naming({ name, record })('counter', 'galleries', key, message, mend);
  }
  for (const [field, value] of Object.entries(right) as [keyof typeof right, number][]) {
    if (record[field] === value) continue;
    const message = `its record says ${field} ${record[field]}, its records make it ${value}`;
    yield naming({ name, record })('counter', 'galleries', key, message, mend);
  }
}

/** A bit a number. */
class NumberSet {
  #words = new Uint32Array(1024);

  /** False when it was there. */
  add(number: number): boolean {
    const word = number >>> 5;
    if (word >= this.#words.length) {
      const larger = new Uint32Array(Math.ceil((word + 1) * 1.5));
      larger.set(this.#words);
      this.#words = larger;
    }
    const before = this.#words[word] ?? 0;
    const after = (before | (1 << (number & 31))) >>> 0;
    this.#words[word] = after;
    return after !== before;
  }
}
