/**
 * A process of its own for the tests whose subject may end one by a signal. Not a test: the role and folders are its arguments, its
 * messages to the parent are `StoreMessage`s.
 *
 * `read` opens the store in each folder and tells what it holds or why it does not open. `failing-disk` runs under failing-disk.c: writes,
 * orders failures, and tells what became of each write.
 */
import { writeFileSync } from 'node:fs';
import process, { argv, env } from 'node:process';
import { asHarmonidError } from '../../src/errors.js';
import { openLmdbStore, type LmdbStore } from '../../src/index/lmdb-store.js';
import { pick, randomFrom } from './faces.js';

export interface StoreMessage {
  /** `read`: the folder; `failing-disk`: the write. */
  readonly of: string;
  /** The keys of the table `meta` with the lengths of their values. */
  readonly held?: readonly string[];
  readonly code?: string;
  readonly message?: string;
  /** The order in force when it was written, or `closed` for the end. */
  readonly order?: string;
  /** The key that the same write took away. */
  readonly removed?: string;
}

const [, , role, ...rest] = argv;
const tell = (message: StoreMessage): void => void process.send?.(message);

export function heldIn(store: LmdbStore): readonly string[] {
  return Array.from(
    store.range('meta', Buffer.alloc(1), Buffer.alloc(4, 0xff)),
    ({ key, value }) => `${key.toString()} ${value.length}`,
  );
}

function refusal(error: unknown): { code: string; message: string } {
  const { code, message } = asHarmonidError(error);
  return { code, message };
}

async function read(): Promise<void> {
  for (const path of rest) {
    try {
      const store = openLmdbStore({ path, readOnly: false });
      tell({ of: path, held: heldIn(store) });
      await store.close();
    } catch (error) {
      tell({ of: path, ...refusal(error) });
    }
  }
}

async function failingDisk([path = '', seed = '', orders = '']: readonly string[]): Promise<void> {
  const random = randomFrom(Number(seed));
  const order = (text: string): void => writeFileSync(env['DISK_ORDERS'] ?? '', text);
  order('none 0');
  const store = openLmdbStore({ path, readOnly: false });
  const keyOf = (index: number): string => `k${String(index).padStart(4, '0')}`;
  let number = 0;
  const write = async (inForce: string): Promise<void> => {
    const mine = number++;
    const of = keyOf(mine);
    // Old ones go, so that pages are freed and used again.
    const removed = mine % 3 === 0 && mine >= 20 ? keyOf(mine - 20) : undefined;
    try {
      const { durable } = await store.write((writer) => {
        writer.put('meta', Buffer.from(of), Buffer.alloc(Math.floor(random() * 9_000), 1));
        if (removed) writer.remove('meta', Buffer.from(removed));
      });
      await durable;
      tell({ of, order: inForce, ...(removed && { removed }) });
    } catch (error) {
      tell({ of, order: inForce, ...refusal(error) });
    }
  };
  for (let round = 0; round < 60; round++) {
    const inForce = random() < 0.4 ? (pick(random, orders.split(',')) ?? '') : 'none 0';
    order(inForce);
    await Promise.all(Array.from({ length: 1 + Math.floor(random() * 4) }, () => write(inForce)));
  }
  order('none 0');
  await write('none 0');
  try {
    tell({ of: 'held', held: heldIn(store) });
  } catch (error) {
    tell({ of: 'held', ...refusal(error) });
  }
  await store.close();
  tell({ of: 'end', order: 'closed' });
}

if (role === 'read') await read();
else if (role === 'failing-disk') await failingDisk(rest);
