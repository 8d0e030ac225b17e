/** Appends while the process may open just one file more: the log can make its next file, and then not open the folder to sync it. Prints what was warned of. */
import { closeSync, openSync } from 'node:fs';
import process from 'node:process';
import { openAuditLog } from '../../src/audit/audit-log.js';

const [folder = ''] = process.argv.slice(2);
const warnings: string[] = [];
const log = await openAuditLog({
  folder,
  clock: () => new Date('2026-03-01T00:00:00Z'),
  sync: 'interval',
  whenFull: 'refuse',
  // After the second of the entries below.
  fileBytesMax: 700,
  retentionDays: null,
  onWarning: (message) => warnings.push(message),
});
const one = {
  action: 'identify',
  actor: 'key:door',
  peer: null,
  requestId: null,
  gallery: 'lobby',
  outcome: 'OK',
} as const;
await log.append({ ...one, identity: 'a', facts: {} });
const taken: number[] = [];
try {
  for (;;) taken.push(openSync(process.execPath, 'r'));
} catch {
  closeSync(taken.pop() ?? 0);
}
// The one that it may have is for the file: reading the folder gives its own back.
await log.append({ ...one, identity: 'b', facts: {} });
// Is written when that has been tried.
await log.append({ ...one, identity: 'c', facts: {} });
for (const file of taken) closeSync(file);
await log.append({ ...one, identity: 'd', facts: {} });
await log.close();
process.stdout.write(JSON.stringify(warnings));
