/** An audit log in a folder of its own, with a clock that is moved by hand; and what is in it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkAuditLog } from '../../src/audit/audit-check.js';
import type { AuditEntry, AuditRecord } from '../../src/audit/audit-line.js';
import { openAuditLog, type AuditLog, type AuditLogOptions } from '../../src/audit/audit-log.js';
import { queryAuditLog, type AuditQuestion } from '../../src/audit/audit-query.js';

export interface Place {
  readonly folder: string;
  readonly file: (number: number) => string;
  readonly open: (change?: Partial<AuditLogOptions>) => Promise<AuditLog>;
  readonly warnings: string[];
  /** Moves the clock. */
  readonly wait: (days: number) => void;
}

export async function inPlace(work: (place: Place) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'harmonid-audit-'));
  const folder = join(root, 'audit');
  const warnings: string[] = [];
  let nowMs = Date.parse('2026-03-01T12:00:00Z');
  try {
    await work({
      folder,
      warnings,
      file: (number) => join(folder, `audit-0000000${number}.jsonl`),
      wait: (days) => (nowMs += days * 86_400_000),
      open: (change = {}) =>
        openAuditLog({
          folder,
          clock: () => new Date(nowMs++),
          sync: 'interval',
          whenFull: 'refuse',
          fileBytesMax: 1 << 20,
          retentionDays: null,
          onWarning: (message) => warnings.push(message),
          ...change,
        }),
    });
  } finally {
    await rm(root, { recursive: true });
  }
}

export function entry(identity: string, change: Partial<AuditEntry> = {}): AuditEntry {
  return {
    action: 'identify',
    actor: 'key:door',
    peer: '10.0.0.1:4',
    requestId: 'r',
    gallery: 'lobby',
    identity,
    outcome: 'OK',
    facts: { distance: 0.1 },
    ...change,
  };
}

export async function records(folder: string, question: AuditQuestion = {}): Promise<AuditRecord[]> {
  const all: AuditRecord[] = [];
  for await (const record of queryAuditLog(folder, question)) all.push(record);
  return all;
}

export const shape = (all: readonly AuditRecord[]): readonly string[] =>
  all.map(({ action, identity }) => identity ?? action);

/** What the check finds, as `file:line`. */
export async function found(folder: string): Promise<readonly string[]> {
  const name = (file: string): string => file.replace(/^.*audit-0*(\d+)\.jsonl$/, '$1');
  return (await checkAuditLog(folder)).findings.map(({ file, line }) => `${name(file)}:${line ?? ''}`);
}
