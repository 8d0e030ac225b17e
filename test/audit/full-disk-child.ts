/** Appends beyond what a file may have, then has the limit lifted, as when somebody made room, and appends once more. Tells what became of it. */
import { execFileSync } from 'node:child_process';
import process from 'node:process';
import { openAuditLog } from '../../src/audit/audit-log.js';

// The system sends this with the failing write.
process.on('SIGXFSZ', () => undefined);
const [folder = '', whenFull = 'refuse'] = process.argv.slice(2);
let warned = 0;
const log = await openAuditLog({
  folder,
  clock: () => new Date('2026-03-01T00:00:00Z'),
  sync: 'interval',
  whenFull: whenFull === 'continue' ? 'continue' : 'refuse',
  fileBytesMax: 1 << 20,
  retentionDays: null,
  onWarning: () => warned++,
});
const one = {
  action: 'identify',
  actor: 'key:door',
  peer: null,
  requestId: null,
  gallery: 'lobby',
  identity: 'somebody',
  outcome: 'OK',
  facts: {},
} as const;
let [written, refused] = [0, 0];
for (let i = 0; i < 40; i++) {
  await log.append(one).then(
    () => written++,
    () => refused++,
  );
}
process.stdout.write(JSON.stringify({ written, refused, warned }));
execFileSync('prlimit', ['--pid', String(process.pid), '--fsize=unlimited']);
await log.append(one);
await log.close();
