/**
 * Method: one suite for every store. The memory store is the plain model; LMDB must do the same, so a random run is done on both and
 * compared after every write, and the promises of the port are each tested by themselves.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { HarmonidError } from '../../src/errors.js';
import { openLmdbStore } from '../../src/index/lmdb-store.js';
import { openMemoryStore } from '../../src/index/memory-store.js';
import { keyBytesMax, tableNames, type Store, type StoreReader } from '../../src/index/store.js';
import { pick, randomFrom, runSeed } from '../index/faces.js';
import { inTemporaryFolder } from '../index/folders.js';

const key = (text: string): Buffer => Buffer.from(text);
const low = Buffer.alloc(1);
const high = Buffer.alloc(4, 0xff);

function dump(store: StoreReader): string[] {
  return tableNames.flatMap((table) =>
    Array.from(
      store.range(table, low, high),
      (entry) => `${table} ${entry.key.toString('hex')} ${entry.value.toString('hex')}`,
    ),
  );
}

const stores: Record<string, (work: (store: Store) => Promise<void>) => Promise<void>> = {
  async memory(work) {
    await work(openMemoryStore());
  },
  async lmdb(work) {
    await inTemporaryFolder(async (path) => {
      const store = openLmdbStore({ path, readOnly: false });
      try {
        await work(store);
      } finally {
        await store.close();
      }
    });
  },
};

for (const [name, withStore] of Object.entries(stores)) {
  describe(`store contract: ${name}`, () => {
    it('reads what was written, and nothing else', async () => {
      await withStore(async (store) => {
        assert.equal(store.get('meta', key('a')), undefined);
        const { value, durable } = await store.write((writer) => {
          writer.put('meta', key('a'), Buffer.from([1, 2]));
          writer.put('templates', key('a'), Buffer.alloc(100_000, 7));
          return 5;
        });
        await durable;
        assert.equal(value, 5);
        assert.deepEqual(store.get('meta', key('a')), Buffer.from([1, 2]));
        assert.equal(store.get('templates', key('a'))?.length, 100_000);
        assert.equal(store.get('galleries', key('a')), undefined);
      });
    });

    it('gives copies that later reads and writes leave alone', async () => {
      await withStore(async (store) => {
        const mine = Buffer.from('first');
        await store.write((writer) => {
          writer.put('meta', key('a'), mine);
          writer.put('meta', key('b'), Buffer.from('other'));
        });
        mine.fill(0);
        const held = store.get('meta', key('a'));
        const ranged = Array.from(store.range('meta', low, high));
        assert.equal(store.get('meta', key('b'))?.toString(), 'other');
        await store.write((writer) => writer.put('meta', key('a'), Buffer.from('later')));
        assert.equal(held?.toString(), 'first');
        assert.deepEqual(
          ranged.map((entry) => `${entry.key.toString()}=${entry.value.toString()}`),
          ['a=first', 'b=other'],
        );
      });
    });

    it('takes back everything when a write throws, and passes the error on', async () => {
      await withStore(async (store) => {
        await store.write((writer) => writer.put('meta', key('a'), key('kept')));
        const before = dump(store);
        const refusal = new HarmonidError('INVALID_ARGUMENT', 'no');
        await assert.rejects(
          store.write((writer) => {
            writer.put('meta', key('a'), key('changed'));
            writer.put('changes', key('b'), key('new'));
            writer.remove('meta', key('a'));
            throw refusal;
          }),
          refusal,
        );
        assert.deepEqual(dump(store), before);
      });
    });

    it('keeps the writes around one that throws', async () => {
      await withStore(async (store) => {
        const results = await Promise.allSettled(
          [1, 2, 3].map((number) =>
            store.write((writer) => {
              writer.put('meta', key(`k${number}`), key('v'));
              if (number === 2) throw new Error('second');
            }),
          ),
        );
        assert.deepEqual(
          results.map(({ status }) => status),
          ['fulfilled', 'rejected', 'fulfilled'],
        );
        assert.deepEqual(
          Array.from(store.range('meta', low, high), (entry) => entry.key.toString()),
          ['k1', 'k3'],
        );
      });
    });

    it('shows a write its own puts and removals, and others only what is committed', async () => {
      await withStore(async (store) => {
        await store.write((writer) => {
          writer.put('meta', key('a'), key('1'));
          writer.put('meta', key('c'), key('3'));
          assert.equal(writer.get('meta', key('a'))?.toString(), '1');
          writer.put('meta', key('b'), key('2'));
          writer.remove('meta', key('a'));
          assert.deepEqual(
            Array.from(writer.range('meta', low, high), (entry) => entry.key.toString()),
            ['b', 'c'],
          );
        });
        assert.deepEqual(
          Array.from(store.range('meta', low, high), (entry) => entry.key.toString()),
          ['b', 'c'],
        );
      });
    });

    it('ranges by unsigned bytes, from start (with) to end (without)', async () => {
      await withStore(async (store) => {
        const keys = [[0], [0, 0], [0, 255], [1], [127, 1], [128], [200, 0, 0], [254]].map((bytes) =>
          Buffer.from(bytes),
        );
        await store.write((writer) => {
          for (const each of keys.toReversed()) writer.put('owners', each, each);
        });
        assert.deepEqual(
          Array.from(store.range('owners', low, high), (entry) => entry.key),
          keys,
        );
        assert.deepEqual(
          Array.from(store.range('owners', Buffer.from([1]), Buffer.from([200, 0, 0])), (entry) => entry.key),
          keys.slice(3, 6),
        );
      });
    });

    it('lists keys alone, in the order of their entries', async () => {
      await withStore(async (store) => {
        await store.write((writer) => {
          for (const name of ['c', 'a', 'b', 'd']) writer.put('templates', key(name), Buffer.alloc(3_000, 1));
        });
        assert.deepEqual(
          Array.from(store.keys('templates', key('a'), key('d')), (each) => each.toString()),
          ['a', 'b', 'c'],
        );
      });
    });

    it('shows a snapshot as it was, over all tables, whatever is written after', async () => {
      await withStore(async (store) => {
        await store.write((writer) => {
          writer.put('meta', key('a'), key('1'));
          writer.put('owners', key('b'), key('2'));
        });
        const snapshot = store.snapshot();
        const before = dump(snapshot);
        await store.write((writer) => {
          writer.put('meta', key('a'), key('changed'));
          writer.remove('owners', key('b'));
          writer.put('templates', key('c'), key('new'));
        });
        assert.deepEqual(dump(snapshot), before);
        assert.equal(snapshot.get('meta', key('a'))?.toString(), '1');
        assert.deepEqual(Array.from(snapshot.keys('templates', low, high)), []);
        snapshot.release();
        assert.notDeepEqual(dump(store), before);
      });
    });

    it('takes keys of the longest length and leaves a loop early', async () => {
      await withStore(async (store) => {
        const long = Buffer.alloc(keyBytesMax, 0x61);
        await store.write((writer) => {
          writer.put('identities', long, key('long'));
          writer.put('identities', key('b'), key('short'));
        });
        assert.equal(store.get('identities', long)?.toString(), 'long');
        for (const entry of store.range('identities', low, high)) {
          assert.equal(entry.value.toString(), 'long');
          break;
        }
      });
    });

    it('applies writes in the order of the calls', async () => {
      await withStore(async (store) => {
        await Promise.all(
          Array.from({ length: 50 }, (_, number) =>
            store.write((writer) => {
              const before = writer.get('meta', key('list'))?.toString() ?? '';
              writer.put('meta', key('list'), key(`${before}${number},`));
            }),
          ),
        );
        assert.equal(
          store.get('meta', key('list'))?.toString(),
          Array.from({ length: 50 }, (_, n) => `${n},`).join(''),
        );
      });
    });

    it('refuses to be used after it is closed', async () => {
      await withStore(async (store) => {
        await store.close();
        await store.close();
        assert.throws(() => store.get('meta', key('a')), { code: 'CLOSED' });
        await assert.rejects(
          store.write(() => 1),
          { code: 'CLOSED' },
        );
      });
    });

    it('does what a plain map does, over a random run', async () => {
      await withStore(async (store) => {
        const random = randomFrom(runSeed(`store ${name}`));
        const model = new Map<string, string>();
        const names = Array.from({ length: 40 }, (_, i) => `key-${String(i).padStart(2, '0')}`);
        for (let round = 0; round < 120; round++) {
          const changed = new Map(model);
          const fails = random() < 0.2;
          const write = store.write((writer) => {
            for (let i = 0; i < 8; i++) {
              const chosen = pick(random, names) ?? '';
              if (random() < 0.6) {
                writer.put('meta', key(chosen), key(String(round)));
                changed.set(chosen, String(round));
              } else {
                writer.remove('meta', key(chosen));
                changed.delete(chosen);
              }
            }
            if (fails) throw new Error('taken back');
          });
          if (fails) await assert.rejects(write);
          else await write;
          if (!fails) {
            model.clear();
            for (const [each, value] of changed) model.set(each, value);
          }
          const stored = Array.from(
            store.range('meta', low, high),
            (entry) => `${entry.key.toString()}=${entry.value.toString()}`,
          );
          assert.deepEqual(stored, [...model].map(([each, value]) => `${each}=${value}`).toSorted());
        }
      });
    });
  });
}
