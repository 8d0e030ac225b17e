/**
 * The complete comparison of an index with the model, made after every restart and every spell of starvation: every gallery, identity,
 * template and vector in both directions, each identity by its id and by its groups, and the counters.
 */
import assert from 'node:assert/strict';
import type { GalleryDump, Outcome } from './calls.js';
import type { Host } from './host.js';
import type { World } from './world.js';

/**
 * The one place where an index is proved sound: by comparison with the model, and by its own check, which knows more of the directory.
 *
 * @param damagedGraphs names of graph files that were damaged: until a checkpoint replaces them a check may tell of these, and of nothing else
 */
export async function assertSound(
  host: Host,
  world: World,
  nowMs: number,
  damagedGraphs: ReadonlySet<string>,
): Promise<void> {
  const asked = askedOf(world);
  const outcome = await host.dump(nowMs, asked);
  assert.ok('dumps' in outcome, `everything can be read: ${JSON.stringify(outcome)}`);
  assertDumpIs(outcome.dumps, world);
  const checked = await host.check(nowMs);
  assert.ok('findings' in checked, `a check can be made: ${JSON.stringify(checked)}`);
  const missed = checked.findings.filter(({ kind }) => kind === 'graph-miss');
  const unexpected = checked.findings.filter(
    (finding) => !missed.includes(finding) && !damagedGraphs.has(finding.where.replace('graphs/', '')),
  );
  assert.deepStrictEqual(unexpected, [], 'a check finds nothing that was not done');
  // The walk of a graph is approximate, above all in one that has lost many entries: it may miss somebody, and the figure is reported.
  const templateCount = outcome.dumps.reduce((sum, { templates }) => sum + templates.length, 0);
  world.recall.checkedTemplates += templateCount;
  world.recall.missedTemplates += missed.length;
  assert.ok(missed.length <= 1 + templateCount / 100, `${missed.length} of ${templateCount} templates are missed`);
}

/** By gallery: everybody, and somebody who is not there. */
export function askedOf(world: World): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(
    Array.from(world.galleries, ([name, { people }]) => [name, [...people.keys(), 'nobody of that name']]),
  );
}

export function assertDumpIs(dumps: readonly GalleryDump[], world: World): void {
  assert.deepStrictEqual(
    dumps.map(({ gallery }) => gallery),
    [...world.galleries.values()]
      .toSorted((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)))
      .map((gallery) => gallery.view()),
  );
  for (const { gallery, stats, identities, asked, members, templates } of dumps) {
    const model = world.gallery(gallery.gallery);
    const expected = model.listIdentities(undefined, Infinity, undefined);
    assert.deepStrictEqual(identities, expected);
    const byId = [...model.people.keys()].map((identity): Outcome => ({ value: model.getIdentity(identity) }));
    assert.deepStrictEqual(asked.slice(0, -1), byId);
    assert.equal(codeOf(asked.at(-1)), 'IDENTITY_NOT_FOUND');
    for (const [group, ids] of Object.entries(members)) {
      assert.deepStrictEqual(
        ids,
        expected.filter(({ groups }) => groups.includes(group)).map(({ identity }) => identity),
        `members of ${group}`,
      );
    }
    const faces = expected.flatMap(({ identity }) =>
      Array.from(model.people.get(identity)?.templates.values() ?? [], ({ view, vector }) => ({
        identity,
        template: view,
        vector,
      })),
    );
    assert.deepStrictEqual(templates, faces);
    assertCounts(stats, faces.length);
  }
}

function assertCounts(stats: GalleryDump['stats'], templateCount: number): void {
  assert.ok(stats, 'every gallery has its figures');
  assert.equal(stats.templateCount, templateCount);
  const { engine, indexedCount, pendingCount, checkpointSequence } = stats.graph;
  assert.equal(indexedCount + pendingCount, templateCount, `the ${engine} graph and its queue hold every template`);
  assert.ok((checkpointSequence ?? 0) <= stats.sequence);
}

function codeOf(outcome: Outcome | undefined): string | undefined {
  return outcome && 'code' in outcome ? outcome.code : undefined;
}
