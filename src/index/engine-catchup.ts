/** An engine that was read from a file becomes that of its gallery as it is now: what has changed since is made up for, and some of it is tried out. */
import type { EngineHit, EngineReader } from '../engine/engine-reader.js';
import type { EngineWriter } from '../engine/engine-writer.js';
import { assertInvariant } from '../errors.js';
import { nearestHits, type VectorOf } from './exact-hits.js';
import type { SourceTemplate, TemplateSource } from './template-source.js';

/** Templates that are looked for, and the share of them that must be found. */
const trialCount = 16;
/** Up to so many are all looked for: then one who cannot be read is told of at opening. */
const wholeTrialMax = 256;
/** Candidates of each search. */
const trialCandidates = 16;
const trialShareMin = 0.5;
/** Squared distance of a vector to itself, with what float32 sums in another order make of it. */
const sameDistanceMax = 1e-6;

/** @param sequence of the last change that the engine holds @throws Error that says what does not fit */
export function catchUpWith(source: TemplateSource, writer: EngineWriter, sequence: number): void {
  if (!replay(source, writer, sequence)) reconcile(source, writer);
}

/** What the change log tells of the time since the file. Whether that makes it whole. */
function replay(source: TemplateSource, writer: EngineWriter, sequence: number): boolean {
  const changes = source.changedSince(sequence);
  if (!changes) return false;
  const added = new Map<number, SourceTemplate>();
  for (const { owner, ...change } of changes) {
    for (const label of change.removed) if (!added.delete(label)) writer.remove(label);
    for (const label of change.added) if (owner !== null) added.set(label, { label, owner });
  }
  addMissing(source, writer, added.values());
  return writer.count === source.count;
}

/** What the source has and the file does not is added, and the other way round removed. */
function reconcile(source: TemplateSource, writer: EngineWriter): void {
  const missing: SourceTemplate[] = [];
  let [known, total] = [0, 0];
  for (const each of source.labels()) {
    total++;
    const owner = writer.ownerOf(each.label);
    if (owner === undefined) missing.push(each);
    else if (owner !== each.owner)
      throw new Error(`template ${each.label} is of owner ${each.owner}, and ${owner} in the file`);
    else known++;
  }
  if (known < writer.count) {
    const there = new Set<number>();
    for (const { label } of source.labels()) there.add(label);
    for (const label of Array.from(writer.labels())) if (!there.has(label)) writer.remove(label);
  }
  addMissing(source, writer, missing);
  assertInvariant(writer.count <= total, 'a graph holds what its source does');
}

function addMissing(source: TemplateSource, writer: EngineWriter, templates: Iterable<SourceTemplate>): void {
  source.reading((vectorOf) => {
    for (const { label, owner } of templates) {
      const vector = writer.has(label) ? undefined : vectorOf(owner, label);
      if (vector) writer.add(label, owner, vector);
    }
  });
}

/** Looks for some of the templates by their own vectors. @throws Error when it finds too few */
export function tryOut(source: TemplateSource, writer: EngineWriter, reader: EngineReader): void {
  const step = writer.count <= wholeTrialMax ? 1 : Math.floor(writer.count / trialCount);
  let [place, tried, found] = [0, 0, 0];
  source.reading((read) => {
    for (const label of writer.labels()) {
      if (place++ % step !== 0) continue;
      const vector = read(writer.ownerOf(label) as number, label);
      if (!vector) continue;
      tried++;
      const candidates = reader.search({ vector, wanted: trialCandidates, width: 2 * trialCandidates });
      if (
        candidates.some((hit) => hit.label === label) ||
        liesAmong(candidates, vector, (hit) => read(hit.owner, hit.label))
      )
        found++;
    }
  });
  if (found < trialShareMin * tried)
    throw new Error(`of ${tried} templates looked for by their own vectors it finds ${found}`);
}

/**
 * The same photo may be enrolled several times: what counts is that something lies there. Each vector is read from a place of its own in the file, which then stays in memory, so this is
 * asked last.
 */
function liesAmong(candidates: readonly EngineHit[], vector: Float32Array, vectorOf: VectorOf): boolean {
  const [nearest] = nearestHits(candidates, 1, vector, vectorOf);
  return (nearest?.distance ?? Infinity) <= sameDistanceMax;
}
