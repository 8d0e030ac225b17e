/** A real database behind a real server on a free port, with a client, for one test; closed and removed afterwards. */
import type { Database } from '../../src/api.js';
import { connectDatabase, type RemoteDatabase } from '../../src/client/remote-database.js';
import type { DatabaseOptions } from '../../src/database.js';
import { startServer, type Server, type ServerOptions } from '../../src/server/server.js';
import { withDatabase } from '../support/database.js';

export interface Served {
  /** The embedded database behind the server. */
  readonly database: Database;
  readonly server: Server;
  readonly remote: RemoteDatabase;
  /** What the server wrote to its log, errors only. */
  readonly logged: readonly { readonly facts: object; readonly message: string }[];
}

export interface ServedOptions extends Omit<ServerOptions, 'database' | 'address' | 'logger'> {
  /** Default: a database of vectors only. */
  readonly embedder?: DatabaseOptions['embedder'];
  readonly importConcurrency?: number;
  /** The database that the server sees, around the real one: to hold calls or to make them fail. */
  readonly around?: (database: Database) => Database;
}

export async function withServer(options: ServedOptions, work: (served: Served) => Promise<void>): Promise<void> {
  const { embedder = false, importConcurrency, around, ...serverOptions } = options;
  await withDatabase({ embedder, importConcurrency }, async (database) => {
    const logged: { facts: object; message: string }[] = [];
    const server = await startServer({
      ...serverOptions,
      database: around ? around(database) : database,
      logger: {
        debug: () => {},
        info: () => {},
        warn: () => {},
        error: (facts, message) => logged.push({ facts, message }),
      },
    });
    // No retries: tests are about each answer of the server.
    const remote = connectDatabase({ address: server.address, retries: 0 });
    try {
      await work({ database, server, remote, logged });
    } finally {
      await remote.close();
      await server.close({ drainMs: 2_000 });
    }
  });
}

/** `database` with some of its methods replaced. */
export function overriding(database: Database, overrides: Partial<Database>): Database {
  return new Proxy(database, {
    get: (target, key: keyof Database) => {
      const found = overrides[key] ?? target[key];
      return typeof found === 'function' && found !== overrides[key] ? found.bind(target) : found;
    },
  });
}

/** A door that calls wait at until the test opens it. */
export class Gate {
  #open!: () => void;
  readonly #opened = new Promise<void>((resolve) => (this.#open = resolve));
  #arrived = 0;
  #watchers: { readonly count: number; readonly tell: () => void }[] = [];

  /** Waits at the door. */
  async pass(): Promise<void> {
    this.#arrived++;
    for (const { count, tell } of this.#watchers) if (this.#arrived >= count) tell();
    await this.#opened;
  }

  /** Until `count` calls have come to the door. */
  async arrivals(count: number): Promise<void> {
    if (this.#arrived >= count) return;
    await new Promise<void>((tell) => this.#watchers.push({ count, tell }));
  }

  open(): void {
    this.#open();
  }
}

export const space = 'test-space';
export const dimensions = 8;

/** A gallery for vectors made elsewhere. */
export async function makeVectorGallery(database: Database, gallery = 'lobby'): Promise<string> {
  await database.createGallery({ gallery, space, dimensions, threshold: 0.5, templatesPerIdentityMax: 1000 });
  return gallery;
}

/** The vector along one axis, leaning a little to the next: distances between axes are near 2, on one axis near 0. */
export function axis(number: number, lean = 0): { readonly space: string; readonly vector: readonly number[] } {
  const vector = Array.from({ length: dimensions }, () => 0);
  vector[number % dimensions] = 1;
  vector[(number + 1) % dimensions] = lean;
  return { space, vector };
}

/** Unit-ish vectors without a pattern, from a seed. */
export function scattered(seed: number): { readonly space: string; readonly vector: readonly number[] } {
  let state = seed * 2_654_435_761 + 1;
  const vector = Array.from({ length: dimensions }, () => {
    state = (state * 48_271) % 0x7fff_ffff;
    return state / 0x7fff_ffff - 0.5;
  });
  return { space, vector };
}
