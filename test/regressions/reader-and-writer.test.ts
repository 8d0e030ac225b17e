/**
 * Method: one process opens a directory read-only, then another one opens it for writing and writes. The reader's answers must be those of the moment of its
 * opening, as the option says: never a mixture, never an internal error.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type { SearchAnswer } from '../../src/index/identity-index.js';
import { makeFaces, randomFrom } from '../index/faces.js';
import { enrollDraft, galleryDraft, inTemporaryFolder, testSpace } from '../index/folders.js';
import { call, type Call, type Outcome } from '../simulation/calls.js';
import { Host } from '../simulation/host.js';

describe('regression: a reader that was there before a writer', function () {
  this.timeout(30_000);

  it('answers as of the moment of its opening', async () => {
    await inTemporaryFolder(async (path) => {
      const [writer, reader] = [new Host(), new Host()];
      const ask = async (host: Host, each: Call): Promise<Outcome> => (await host.calls(0, [each]))[0] as Outcome;
      try {
        const faces = makeFaces(randomFrom(65));
        const gallery = 'lobby';
        const enrolled = (identity: string, person: number): Call =>
          call('enroll', enrollDraft(gallery, identity, [faces.face(person)], { duplicates: 'ignore' }));
        await writer.open(0, { path });
        await ask(writer, call('createGallery', galleryDraft(gallery, faces.dimensions)));
        await ask(writer, enrolled('alice', 1));
        await ask(writer, enrolled('bob', 2));
        await writer.close(0);
        const opened = [await reader.open(0, { path, readOnly: true }), await writer.open(0, { path })];
        assert.deepEqual(opened, [{ value: undefined }, { value: undefined }]);
        const page = call('listIdentities', { gallery, limit: 10 });
        const before = await ask(reader, page);
        assert.ok('value' in before);
        await ask(writer, call('eraseIdentity', gallery, 'alice'));
        await ask(writer, enrolled('carol', 3));
        assert.deepEqual(await ask(reader, page), before);
        const probe = faces.face(1);
        const answer = await ask(
          reader,
          call('search', { gallery, space: testSpace, probe, k: 5, exact: false, ef: 64 }),
        );
        assert.ok('value' in answer, JSON.stringify(answer));
        const { candidates } = answer.value as SearchAnswer;
        assert.deepEqual(candidates.map(({ identity }) => identity).toSorted(), ['alice', 'bob']);
      } finally {
        await writer.kill();
        await reader.kill();
      }
    });
  });
});
