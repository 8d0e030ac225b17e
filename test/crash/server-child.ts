/**
 * The server that is killed: the database and the gRPC server as `harmonid serve` starts them, with graphs and checkpoints at a size that a
 * short load reaches. Loads its code ahead and waits for the order to open; its argument says how far it will come. Ends when its parent does.
 */
import process from 'node:process';
import { inspect } from 'node:util';
import { openDatabase, type Database } from '../../src/database.js';
import type { Server } from '../../src/server/server.js';
import { graphSizes } from './graph-sizes.js';
import { isGuardDue, isOfGuard } from './guarded-load.js';
import type { ServerOrder, ServerReport, ServerTask } from './server-messages.js';

interface Running {
  readonly database: Database;
  readonly server: Server | null;
}

const task = process.argv[2] as ServerTask;
const code = task === 'serve' ? import('../../src/server/server.js') : null;
// Whoever no longer listens is told nothing.
const tell = (report: ServerReport): void => void process.send?.(report, () => undefined);

async function open(path: string): Promise<Running> {
  tell({ opening: true });
  const guardIsDue = isGuardDue(path);
  const database = await openDatabase({
    path,
    embedder: false,
    ...graphSizes,
    onWarning(message, facts) {
      const trouble = `${message} ${inspect(facts)}`;
      if (!guardIsDue || !isOfGuard(trouble)) tell({ trouble });
    },
  });
  const [gallery] = (await database.stats()).galleries;
  tell({ opened: gallery?.graph.openedFrom ?? null });
  if (!code) return { database, server: null };
  const { startServer } = await code;
  const server = await startServer({
    database,
    logger: {
      debug: () => undefined,
      info: () => undefined,
      warn: () => undefined,
      error: (facts, message) => tell({ trouble: `${message} ${inspect(facts)}` }),
    },
  });
  tell({ listening: server.address });
  return { database, server };
}

let running: Promise<Running> | undefined;

async function obey(order: ServerOrder): Promise<void> {
  if ('open' in order) {
    running = open(order.open);
    await running;
    return;
  }
  const { database, server } = (await running) ?? {};
  await server?.close({ drainMs: 1_000 });
  await database?.close();
  process.disconnect();
}

process.on('message', (order) => {
  obey(order as ServerOrder).catch((error: unknown) => {
    tell({ trouble: inspect(error) });
  });
});
process.on('disconnect', () => process.exit());
