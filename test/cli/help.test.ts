/** Help and bad usage: the compiled command line is run, its words and exit codes are compared with what is documented. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'mocha';
import { harmonid } from './command-line.js';

const commands = [
  'enroll',
  'import',
  'identify',
  'verify',
  'list',
  'show',
  'update',
  'remove-template',
  'erase',
  'serve',
  'gallery create',
  'gallery list',
  'gallery show',
  'gallery set',
  'gallery doctor',
  'gallery delete',
  'stats',
  'export',
  'checkpoint',
  'backup',
  'restore',
  'check',
  'config check',
  'config print',
  'config schema',
  'embed',
  'calibrate',
  'cluster',
  'models list',
  'models add',
  'models show',
  'evaluate identification',
  'evaluate report',
  'evaluate verification',
  'evaluate video',
  'evaluate calibration',
  'evaluate clustering',
  'evaluate robustness',
  'evaluate dimensions',
  'evaluate compare',
  'rollout start',
  'rollout pairs',
  'rollout probes',
  'rollout fit',
  'rollout report',
  'rollout shadow',
  'rollout canary',
  'rollout activate',
  'rollout backfill',
  'rollout order',
  'rollout status',
  'rollout rollback',
  'rollout complete',
];

describe('help', function () {
  this.timeout(60_000);

  it('names every command', async () => {
    const { code, stdout } = await harmonid(['--help']);
    assert.equal(code, 0);
    for (const command of commands) assert.match(stdout, new RegExp(`^  ${command.split(' ')[0]} `, 'm'));
  });

  it('of every command has examples of that command and the exit codes', async () => {
    for (let i = 0; i < commands.length; i += 4) {
      await Promise.all(
        commands.slice(i, i + 4).map(async (command) => {
          const { code, stdout, stderr } = await harmonid([...command.split(' '), '--help']);
          assert.deepEqual([command, code, stderr], [command, 0, '']);
          assert.match(stdout, new RegExp(`\\nExamples:\\n  \\$ .*harmonid ${command}`), command);
          assert.match(stdout, /Exit codes:\n {2}0 /, command);
        }),
      );
    }
  });
});

describe('bad usage', function () {
  this.timeout(60_000);
  let empty = '';
  before(async () => {
    empty = await mkdtemp(join(tmpdir(), 'harmonid-usage-'));
  });
  after(async () => {
    await rm(empty, { recursive: true });
  });

  const cases: readonly [args: string, code: number, says: RegExp][] = [
    ['', 2, /Usage: harmonid/],
    ['identfy x.jpg', 2, /unknown command 'identfy'[^]*identify[^]*harmonid --help/],
    ['identify', 2, /missing required argument 'photo'[^]*harmonid identify --help/],
    ['identify absent.jpg --data .', 2, /no such file: absent\.jpg/],
    ['identify a.jpg b.jpg --annotate one.png --data .', 2, /one file, but there are 2 photos/],
    ['import ./people', 2, /no such directory: \.\/people/],
    ['list --data . --server localhost:1', 2, /--server.*--data/],
    ['list', 1, /no data directory at \.\/data \(DATA_NOT_FOUND\)\n.*harmonid enroll/],
    ['list --page-size many', 2, /--page-size.*whole number/],
    ['list --server 127.0.0.1:1', 1, /127\.0\.0\.1:1[^]*\(UNAVAILABLE\)\n.*harmonid serve/],
    ['gallery create lobby --server localhost:1 --provider cpu', 2, /--provider belongs to/],
    ['gallery create lobby --server localhost:1 --embed-workers 2', 2, /--embed-workers belongs to/],
    ['list --server nonsense', 2, /HOST:PORT/],
    ['update alice', 2, /nothing to change/],
    ['erase alice', 2, /--yes/],
    ['gallery delete lobby', 2, /--yes/],
    ['gallery doctor lobby', 1, /no data directory at \.\/data \(DATA_NOT_FOUND\)/],
    ['gallery doctor lobby --apply absent', 2, /cannot read absent/],
    ['check --repair --server localhost:1', 2, /--repair.*--data/],
    ['check', 1, /no data directory at \.\/data \(DATA_NOT_FOUND\)/],
    ['enroll alice x.jpg --attribute office', 2, /KEY=VALUE/],
    ['gallery set lobby --refuse UGLY', 2, /TOO_SMALL/],
    ['evaluate verification --images absent --pairs pairs.txt', 2, /no such directory: absent/],
    ['evaluate identification --images absent', 2, /no such directory: absent/],
    ['evaluate identification --images . --sizes 1,b', 2, /--sizes.*commas between them/],
    ['evaluate video --tracks absent --splits splits.txt', 2, /no such directory: absent/],
    ['evaluate video --tracks . --splits absent.txt', 2, /cannot read absent\.txt/],
    ['cluster', 2, /either a folder or --gallery/],
    ['cluster absent', 2, /no such directory: absent/],
    ['cluster absent --server localhost:1', 2, /--server goes with --gallery/],
    ['evaluate clustering --images absent', 2, /no such directory: absent/],
    ['rollout status', 2, /missing required argument 'gallery'/],
    ['rollout status lobby', 1, /no data directory at \.\/data \(DATA_NOT_FOUND\)/],
    ['rollout start lobby', 2, /--to PACK[^]*harmonid rollout start --help/],
    ['rollout start lobby --to a --to-space b', 2, /--to PACK/],
    ['rollout start lobby --to-space v3 --dimensions 8', 2, /--dimensions and --threshold/],
    ['rollout start lobby --to a --threshold 1', 2, /go with --to-space/],
    ['rollout pairs lobby', 2, /--images <dir>/],
    ['rollout pairs lobby --images absent', 2, /no such directory: absent/],
    ['rollout backfill lobby --images . --aligned chip', 2, /arcface112/],
    ['rollout fit lobby --far 2', 2, /rate between 0 and 1/],
    ['rollout shadow lobby --overrule luck', 2, /Known gates are enough-people,/],
    ['rollout probes lobby --collect-pairs --consent', 2, /--retention-days/],
    ['rollout probes lobby --collect-pairs --retention-days 30', 2, /--consent/],
    ['rollout probes lobby --consent', 2, /go with --collect-pairs/],
    ['rollout canary lobby', 2, /--share or --group/],
    ['rollout rollback lobby', 2, /--yes/],
    ['rollout complete lobby --now', 2, /--yes/],
  ];
  for (const [args, code, says] of cases) {
    it(`\`harmonid ${args}\` exits ${code} and says what to do`, async () => {
      const outcome = await harmonid(args === '' ? [] : args.split(' '), { cwd: empty });
      assert.match(outcome.stderr, says);
      assert.deepEqual([outcome.code, outcome.stdout], [code, '']);
    });
  }

  it('is told as JSON with --json, on stderr', async () => {
    for (const [args, expected] of [
      ['list --json', 'DATA_NOT_FOUND'],
      ['list --json --page-size many', 'INVALID_ARGUMENT'],
      ['erase alice --json', 'INVALID_ARGUMENT'],
      ['list --json --server 127.0.0.1:1', 'UNAVAILABLE'],
    ] as const) {
      const { stdout, stderr } = await harmonid(args.split(' '), { cwd: empty });
      const { error } = JSON.parse(stderr) as { error: Record<string, unknown> };
      assert.equal(error['code'], expected, args);
      assert.equal(typeof error['message'], 'string');
      assert.equal(typeof error['details'], 'object');
      assert.equal(typeof error['next'], 'string');
      assert.equal(stdout, '');
    }
  });
});
