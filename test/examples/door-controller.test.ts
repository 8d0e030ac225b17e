/**
 * Method: the example as it is started by hand, in a process of its own; who got in and who did not is read from the log that it leaves, and compared with what
 * the day in stage.ts says in words.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, it } from 'mocha';
import { parseLines } from '../../examples/door-controller/decision-log.js';
import { temporaryFolder } from '../support/database.js';
import { repositoryPath } from '../support/paths.js';

const main = join(repositoryPath, 'dist', 'examples', 'door-controller', 'main.js');

describe('the door controller', function () {
  this.timeout(180_000);

  it('lets in whom the rules let in, once each, also over a restart of the server', async () => {
    const folder = temporaryFolder();
    try {
      const { stdout } = await promisify(execFile)(process.execPath, [main, folder], { timeout: 170_000 });
      const lines = parseLines(await readFile(join(folder, 'decisions.jsonl'), 'utf8'));
      assert.deepEqual(
        lines.map(({ at, direction, identity, verdict }) => [new Date(at).getHours(), direction, identity, verdict]),
        [
          [8, 'in', 'ada', 'opened'],
          [8, 'in', 'ada', 'already-inside'],
          [8, 'in', null, 'stranger'],
          [9, 'in', 'bea', 'not-permitted'],
          [12, 'out', 'ada', 'opened'],
          [13, 'in', 'ada', 'opened'],
          [18, 'in', 'bea', 'opened'],
        ],
      );
      assert.match(stdout, /The relay opened 4 times\. Inside: ada, bea\. The stream was interrupted and went on\./);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
