/** Commands that work on a data directory leave a trace, too, where a server of the directory does: where it has an audit log. */
import { userInfo } from 'node:os';
import type { Database } from '../api.js';
import { openAuditLog } from '../audit/audit-log.js';
import { audited } from '../audit/audited-database.js';
import { auditFolderOf } from './commands/audit.js';
import { isDirectory } from './directories.js';

/** `database` itself where there is no log in the directory. The log is closed with it. @throws AUDIT_UNAVAILABLE */
export async function auditedLocally(database: Database, data: string): Promise<Database> {
  const folder = auditFolderOf({ data });
  if (!(await isDirectory(folder))) return database;
  const log = await openAuditLog({
    folder,
    clock: () => new Date(),
    sync: 'interval',
    whenFull: 'refuse',
    fileBytesMax: 1 << 26,
    // The server's configuration says for how long files are kept.
    retentionDays: null,
    onWarning: () => undefined,
  });
  const asker = { actor: `local:${userInfo().username}`, peer: null, requestId: null };
  return audited(database, log, asker, () => log.close());
}
