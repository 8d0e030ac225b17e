/**
 * All galleries as plain maps, and the judgement of what an index answered: equal to the model's answer, or, for a search through a graph, as
 * good as an answer has to be. Recall is summed up over the run.
 */
import assert from 'node:assert/strict';
import { asHarmonidError } from '../../src/errors.js';
import type { GalleryDraft, SearchAnswer, SearchRequest } from '../../src/index/identity-index.js';
import type { Candidate, Decision, Gallery } from '../../src/index/records.js';
import { squaredDistance } from '../../src/vector.js';
import type { Call, CallOf, Outcome } from './calls.js';
import { GalleryModel, refusal, type Person } from './gallery-model.js';

/** How often a graph found what brute force finds. */
export interface Recall {
  wanted: number;
  found: number;
  graphSearches: number;
  /** Searched for by their own vectors in checks, and how many of them the graph did not find. */
  checkedTemplates: number;
  missedTemplates: number;
  exactSearches: number;
}

export class World {
  readonly galleries = new Map<string, GalleryModel>();
  readonly recall: Recall = {
    wanted: 0,
    found: 0,
    graphSearches: 0,
    exactSearches: 0,
    checkedTemplates: 0,
    missedTemplates: 0,
  };
  readonly #exactMax: number;

  constructor(exactMax: number) {
    this.#exactMax = exactMax;
  }

  copy(): World {
    const copy = new World(this.#exactMax);
    for (const [name, gallery] of this.galleries) copy.galleries.set(name, gallery.copy());
    return copy;
  }

  /** @throws GALLERY_NOT_FOUND */
  gallery(name: string): GalleryModel {
    const found = this.galleries.get(name);
    if (!found) throw refusal('GALLERY_NOT_FOUND');
    return found;
  }

  /** Does the call in the model, after the index has done it, and judges the index's outcome. */
  judge(call: Call, nowMs: number, actual: Outcome): void {
    if (call.method === 'search') this.judgeSearch(call, actual);
    else if (call.method === 'enroll') this.#judgeEnrolment(call, nowMs, actual);
    else if (call.method === 'eraseIdentity') assertSame(shortened(actual), this.apply(call, nowMs));
    else if (call.method === 'stats') this.#judgeStats(actual);
    else assertSame(actual, this.apply(call, nowMs));
  }

  /** What the call answers here. */
  apply(call: Call, nowMs: number): Outcome {
    try {
      return { value: this.#apply(call, nowMs) };
    } catch (error) {
      const { code, message } = asHarmonidError(error);
      if (code === 'INTERNAL') throw error;
      return { code, message };
    }
  }

  #apply(call: Call, nowMs: number): unknown {
    switch (call.method) {
      case 'createGallery':
        return this.#createGallery(call.args[0], nowMs);
      case 'getGallery':
        return this.gallery(call.args[0]).view();
      case 'updateGallery':
        return this.gallery(call.args[0]).updateSettings(call.args[1]);
      case 'deleteGallery':
        return this.galleries.delete(call.args[0]);
      case 'enroll':
        return this.gallery(call.args[0].gallery).enroll(call.args[0], nowMs);
      case 'updateIdentity':
        return this.gallery(call.args[0].gallery).updateIdentity(call.args[0], nowMs);
      case 'removeTemplate':
        return this.gallery(call.args[0]).removeTemplate(call.args[1], call.args[2], nowMs);
      case 'eraseIdentity':
        return this.gallery(call.args[0]).eraseIdentity(call.args[1]);
      case 'getIdentity':
        return this.gallery(call.args[0]).getIdentity(call.args[1]);
      case 'listIdentities': {
        const { gallery, after, limit, groups } = call.args[0];
        return this.gallery(gallery).listIdentities(after, limit, groups);
      }
      case 'verify': {
        const { gallery, identity, probe, threshold } = call.args[0];
        return this.gallery(gallery).verify(identity, probe, threshold);
      }
      case 'checkpoint':
        if (call.args[0] !== undefined) this.gallery(call.args[0]);
        return undefined;
      case 'settle':
        return undefined;
      case 'search':
      case 'stats':
        throw new Error(`${call.method} is judged, not predicted`);
    }
  }

  #createGallery(draft: GalleryDraft, nowMs: number): Gallery {
    const present = this.galleries.get(draft.gallery);
    if (present) {
      const { gallery: _name, ...settings } = draft;
      const isSame = Object.entries(settings).every(
        ([key, value]) =>
          JSON.stringify(value) === JSON.stringify(present.settings[key as keyof typeof present.settings]),
      );
      if (!isSame) throw refusal('GALLERY_EXISTS');
      return present.view();
    }
    const made = new GalleryModel(draft, nowMs);
    this.galleries.set(draft.gallery, made);
    return made.view();
  }

  /** What a graph reports as duplicates must be true, and may be incomplete; then the model goes on with what was found. */
  #judgeEnrolment(call: CallOf<'enroll'>, nowMs: number, actual: Outcome): void {
    const [draft] = call.args;
    const gallery = this.galleries.get(draft.gallery);
    const isChecked = gallery && (draft.duplicates ?? gallery.settings.duplicates) !== 'ignore';
    if (!isChecked) {
      assertSame(actual, this.apply(call, nowMs));
      return;
    }
    const { threshold } = gallery.settings;
    const probe = draft.templates[0]?.vector;
    assert.ok(probe && draft.templates.length === 1, 'a checked enrolment of the simulation has one face');
    const truth = gallery.nearest(probe, 5, undefined, draft.identity).filter(({ distance }) => distance <= threshold);
    const isExact = gallery.templateCount <= this.#exactMax;
    let reported: readonly Candidate[] = truth;
    if (!isExact) {
      // Told in the answer; of a refusal only that there was at least one is known.
      const value = 'value' in actual ? (actual.value as { duplicates: readonly Candidate[] }) : null;
      reported = value ? value.duplicates : 'code' in actual && actual.code === 'DUPLICATE_FACE' ? truth : [];
      for (const candidate of reported) assertCandidate(candidate, probe, [gallery]);
      if (reported.length > 0) assert.ok(truth.length > 0, 'a duplicate is within the threshold');
      this.recall.wanted += truth.length;
      this.recall.found += truth.filter(({ identity }) => reported.some((each) => each.identity === identity)).length;
    }
    const expected = ((): Outcome => {
      try {
        return { value: gallery.enroll(draft, nowMs, reported) };
      } catch (error) {
        return { code: asHarmonidError(error).code, message: '' };
      }
    })();
    assertSame(actual, expected);
  }

  /** @param before the gallery as it was when writes began that went on beside the search */
  judgeSearch({ args: [request] }: CallOf<'search'>, actual: Outcome, before?: GalleryModel): void {
    const gallery = this.galleries.get(request.gallery);
    if (!gallery) {
      assertSame(actual, { code: 'GALLERY_NOT_FOUND', message: '' });
      return;
    }
    assert.ok('value' in actual, `a search failed: ${JSON.stringify(actual)}`);
    const answer = actual.value as SearchAnswer;
    assertRanked(answer);
    const truths = before ? [gallery, before] : [gallery];
    for (const candidate of answer.candidates) assertCandidate(candidate, request.probe, truths);
    if (before) {
      // Complete in whoever was there all the time.
      const both = gallery
        .nearest(request.probe, 1_000, request.groups)
        .filter(({ identity }) =>
          before.nearest(request.probe, 1_000, request.groups).some((e) => e.identity === identity),
        );
      assert.ok(answer.candidates.length >= Math.min(request.k, both.length), 'complete');
      return;
    }
    this.#judgeQuietSearch(gallery, request, answer);
  }

  #judgeQuietSearch(gallery: GalleryModel, request: SearchRequest, answer: SearchAnswer): void {
    const truth = gallery.nearest(request.probe, Math.max(2, request.k), request.groups);
    const wanted = truth.slice(0, request.k);
    const threshold = Number(request.threshold ?? gallery.settings.threshold);
    assert.equal(answer.threshold, threshold);
    assert.equal(answer.candidates.length, wanted.length, 'an answer is complete');
    if (request.exact || gallery.templateCount <= this.#exactMax) assert.ok(answer.exact, 'the answer is exact');
    if (answer.exact) {
      this.recall.exactSearches++;
      assert.deepStrictEqual(answer.candidates, wanted);
      assert.deepStrictEqual(
        { decision: answer.decision, margin: answer.margin },
        decide(truth, threshold, gallery.settings.margin),
      );
      return;
    }
    this.recall.graphSearches++;
    const names = new Set(answer.candidates.map(({ identity }) => identity));
    this.recall.wanted += wanted.length;
    this.recall.found += wanted.filter(({ identity }) => names.has(identity)).length;
    assert.equal(answer.margin === null, truth.length < 2, 'a margin needs a runner-up');
    if (request.k >= 2) {
      assert.deepStrictEqual(
        { decision: answer.decision, margin: answer.margin },
        decide(answer.candidates, threshold, gallery.settings.margin),
      );
    }
  }

  #judgeStats(actual: Outcome): void {
    assert.ok('value' in actual, `stats failed: ${JSON.stringify(actual)}`);
    const stats = actual.value as { gallery: string; identityCount: number; templateCount: number; sequence: number }[];
    const shown = stats
      .map(({ gallery, identityCount, templateCount, sequence }) => ({
        gallery,
        identityCount,
        templateCount,
        sequence,
      }))
      .toSorted((a, b) => Buffer.compare(Buffer.from(a.gallery), Buffer.from(b.gallery)));
    const expected = [...this.galleries.values()]
      .map((gallery) => gallery.view())
      .map(({ gallery, identityCount, templateCount, sequence }) => ({
        gallery,
        identityCount,
        templateCount,
        sequence,
      }))
      .toSorted((a, b) => Buffer.compare(Buffer.from(a.gallery), Buffer.from(b.gallery)));
    assert.deepStrictEqual(shown, expected);
  }
}

/** Errors are compared by code. */
function assertSame(actual: Outcome, expected: Outcome): void {
  if ('code' in expected || 'code' in actual) {
    const code = (outcome: Outcome): string => ('code' in outcome ? outcome.code : 'no error');
    assert.equal(code(actual), code(expected), 'code' in actual ? actual.message : JSON.stringify(actual));
    return;
  }
  assert.deepStrictEqual(actual.value, expected.value);
}

/** The answer to an erasure as far as the model speaks of it: a receipt is nothing that a map could predict. */
function shortened(outcome: Outcome): Outcome {
  if (!('value' in outcome)) return outcome;
  const { existed, templatesErased, sequence } = outcome.value as {
    existed: boolean;
    templatesErased: number;
    sequence: number;
  };
  return { value: { existed, templatesErased, sequence } };
}

function assertRanked({ candidates }: SearchAnswer): void {
  const names = new Set(candidates.map(({ identity }) => identity));
  assert.equal(names.size, candidates.length, 'every identity stands once in an answer');
  candidates.forEach((candidate, i) => {
    const before = candidates[i - 1];
    if (!before) return;
    const order =
      before.distance - candidate.distance ||
      Buffer.compare(Buffer.from(before.identity), Buffer.from(candidate.identity));
    assert.ok(order < 0, 'candidates are in order of distance');
  });
}

/** The candidate is, in one of the models, an identity that has such a template at that distance. */
function assertCandidate(candidate: Candidate, probe: Float32Array, models: readonly GalleryModel[]): void {
  const people = models.flatMap(({ people }) => people.get(candidate.identity) ?? []);
  assert.ok(people.length > 0, `no ghosts: ${candidate.identity}`);
  const faces = people.flatMap(({ templates }) => templates.get(candidate.template) ?? []);
  const [face] = faces;
  assert.ok(face, `no ghosts: template ${candidate.template} of ${candidate.identity}`);
  assert.equal(candidate.distance, squaredDistance(probe, face.vector), 'the distance is that of the template');
  const isShown = ({ label, groups }: Person): boolean =>
    label === candidate.label && JSON.stringify(groups) === JSON.stringify(candidate.groups);
  assert.ok(people.some(isShown), `label and groups of ${candidate.identity}`);
}

function decide(
  [best, second]: readonly Candidate[],
  threshold: number,
  margin: number,
): { decision: Decision; margin: number | null } {
  const gap = best && second ? second.distance - best.distance : null;
  if (!best || best.distance > threshold) return { decision: 'no-match', margin: gap };
  const isClose = second !== undefined && gap !== null && second.distance <= threshold && gap < margin;
  return { decision: isClose ? 'ambiguous' : 'match', margin: gap };
}
