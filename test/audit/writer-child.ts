/** Has a log open until it is killed, or left alone. */
import process from 'node:process';
import { openAuditLog } from '../../src/audit/audit-log.js';

const [folder = ''] = process.argv.slice(2);
await openAuditLog({
  folder,
  clock: () => new Date('2026-03-01T00:00:00Z'),
  sync: 'interval',
  whenFull: 'refuse',
  fileBytesMax: 1 << 20,
  retentionDays: null,
  onWarning: () => undefined,
});
process.stdout.write('open\n');
// Ends with whoever started it.
process.stdin.resume();
