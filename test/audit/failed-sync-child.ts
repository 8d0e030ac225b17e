/**
 * Appends to a log whose every entry waits for the disk, while the disk fails to flush on order (support/failing-disk.c): three that succeed, two that
 * should not, two that succeed again. Tells what became of each; what a power loss would leave then is in DISK_KEPT.
 */
import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { openAuditLog } from '../../src/audit/audit-log.js';
import { isHarmonidError } from '../../src/errors.js';
import { entry } from './log-place.js';

const [folder = ''] = process.argv.slice(2);
const order = (text: string): void => writeFileSync(process.env['DISK_ORDERS'] ?? '', text);
order('work 0');
const log = await openAuditLog({
  folder,
  clock: () => new Date('2026-03-01T00:00:00Z'),
  sync: 'always',
  whenFull: 'refuse',
  fileBytesMax: 1 << 20,
  retentionDays: null,
  onWarning: () => undefined,
});
const told: string[] = [];
const append = async (identity: string): Promise<void> => {
  const outcome = await log.append(entry(identity)).then(
    () => 'written',
    (error: unknown) => (isHarmonidError(error) ? error.code : String(error)),
  );
  told.push(`${identity} ${outcome}`);
};
for (const identity of ['a', 'b', 'c']) await append(identity);
order('sync 5');
for (const identity of ['d', 'e']) await append(identity);
order('work 0');
for (const identity of ['f', 'g']) await append(identity);
process.stdout.write(JSON.stringify(told));
// No orderly end: the power goes.
process.exit(0);
