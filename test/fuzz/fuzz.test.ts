/**
 * Method: a short run of the fuzzer (`npm run fuzz` for longer ones) on a real server. What it throws is held against the generated decoders
 * and the proto files; its rule on memory against floors written by hand.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { AdminServiceService } from '../../src/wire/harmonid/v1/admin.js';
import { IdentityServiceService } from '../../src/wire/harmonid/v1/identity.js';
import { randomFrom, runSeed } from '../index/faces.js';
import { repositoryPath } from '../support/paths.js';
import { attackRandom } from './attacker.js';
import { growthOf } from './floors.js';
import { makeRequest, methods, type Fillings } from './methods.js';
import { fieldsOf, messageOf, mutated } from './mutations.js';
import type { Floor } from './report.js';
import { runFuzz } from './rounds.js';

const fillings: Fillings = {
  keptGallery: 'kept',
  galleries: ['default', 'attic'],
  space: 'test-space',
  dimensions: 8,
  photos: [Buffer.from('a photo')],
};

describe('the fuzzer', function () {
  this.timeout(300_000);

  it('knows every method of the proto files, and makes requests that their decoders take', () => {
    const protoText = ['identity', 'admin'].map((name) =>
      readFileSync(join(repositoryPath, `proto/harmonid/v1/${name}.proto`), 'utf8'),
    );
    assert.equal(methods.length, protoText.join().match(/^ {2}rpc /gm)?.length);
    const decoders = new Map(
      [...Object.values(IdentityServiceService), ...Object.values(AdminServiceService)].map((each) => [
        each.path as string,
        each,
      ]),
    );
    for (const method of methods) {
      for (let seed = 0; seed < 20; seed++) {
        const request = Buffer.from(makeRequest(randomFrom(seed), method, fillings));
        // Throws when it cannot be read.
        decoders.get(method.path)?.requestDeserialize(request);
        const isWriter = /\/(Enroll|Import|Update|Remove|Erase|Delete|Create|Start|Rollback|Complete|Activate)/.test(
          method.path,
        );
        if (isWriter)
          assert.ok(!request.includes(fillings.keptGallery), `${method.path} is told to write to those who must stay`);
      }
    }
  });

  it('takes messages apart and puts them together, and spoils them the same from the same seed', () => {
    for (const method of methods) {
      const request = makeRequest(attackRandom(1, 'a', 1), method, fillings);
      assert.deepEqual(Buffer.from(messageOf(fieldsOf(request) ?? [])), Buffer.from(request));
      const spoiled = (seed: number): Buffer => Buffer.from(mutated(attackRandom(seed, 'a', 1), request));
      assert.deepEqual(spoiled(1), spoiled(1));
    }
  });

  it('tells memory that grows from memory that stays', () => {
    const mebibytes = (heap: number, resident: number): Floor => ({
      files: 40,
      sockets: 5,
      heapBytes: heap * 2 ** 20,
      externalBytes: 0,
      residentBytes: resident * 2 ** 20,
    });
    const steady = [mebibytes(10, 100), mebibytes(25, 400), mebibytes(27, 430), mebibytes(26, 420), mebibytes(27, 440)];
    assert.deepEqual(growthOf(steady), []);
    assert.equal(growthOf([...steady.slice(0, 3), mebibytes(34, 420), mebibytes(40, 440)]).length, 1);
    assert.equal(growthOf([...steady.slice(0, 3), mebibytes(26, 460), mebibytes(27, 470)]).length, 1);
    assert.equal(growthOf([mebibytes(10, 100), mebibytes(25, 400), mebibytes(34, 500)]).length, 1);
  });

  it('finds no crash, no leak and no hang in half a minute', async () => {
    const report = await runFuzz(
      { seconds: 24, rounds: 3, seed: runSeed('fuzzer'), keepaliveSeconds: 6 },
      () => undefined,
    );
    assert.deepEqual(report.findings, []);
    assert.equal(report.floors.length, 3);
    assert.equal(Object.keys(report.outcomes).length, 7, 'every attacker has attacked');
    assert.ok(report.canary.answers > 0);
  });
});
