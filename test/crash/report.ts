/** What a run of the crash test counts, and how it is told. */
import type { Restore } from './child.js';
import { writeKinds, type WriteKind } from './ledger.js';
import type { Found } from './testimony.js';

export const killMoments = ['opening', 'load', 'closing'] as const;
export type KillMoment = (typeof killMoments)[number];

export interface Fault {
  readonly round: number;
  /** Who saw it. */
  readonly seenBy: string;
  readonly text: string;
}

type Counts<K extends string> = Readonly<Record<K, number>>;
type OpenedFrom = Found['openedFrom'];

export interface CrashReport {
  readonly seed: number;
  readonly kills: number;
  readonly killsAt: Counts<KillMoment>;
  /** Servers that had closed before the kill came. */
  readonly cleanStops: number;
  readonly acknowledged: Counts<WriteKind>;
  /** Attempts that were in flight at a kill, and how many of them had been done: as the directory lies there, and after a power loss. */
  readonly inFlight: Readonly<Record<Restore, Readonly<Record<WriteKind, { attempts: number; applied: number }>>>>;
  /** Directories that were opened and read. */
  readonly examined: Counts<Restore>;
  /** Copies that a power loss would have taken further back than the kill did. */
  readonly wentBack: number;
  /** Servers and witnesses together. */
  readonly openedFrom: Counts<OpenedFrom>;
  readonly serversAfterPowerLoss: number;
  readonly identities: number;
  readonly templates: number;
  readonly seconds: number;
  readonly faults: readonly Fault[];
  /** Where the directories lie when there are faults. */
  readonly kept: string | null;
}

export class Tally {
  rounds = 0;
  readonly faults: Fault[] = [];
  readonly #startedMs = performance.now();
  readonly #killsAt = { opening: 0, load: 0, closing: 0 };
  readonly #examined = { 'as it is': 0, 'power loss': 0 };
  readonly #openedFrom = { checkpoint: 0, rebuild: 0, new: 0 };
  readonly #inFlight = { 'as it is': noAttempts(), 'power loss': noAttempts() };
  #cleanStops = 0;
  #wentBack = 0;
  #serversAfterPowerLoss = 0;
  #last = { identities: 0, templates: 0 };

  get kills(): number {
    return killMoments.reduce((sum, moment) => sum + this.#killsAt[moment], 0);
  }

  /** @param moment null when it had ended by itself */
  ended(moment: KillMoment | null): void {
    if (moment) this.#killsAt[moment]++;
    else this.#cleanStops++;
  }

  opened(from: OpenedFrom | null, restore: Restore): void {
    if (from) this.#openedFrom[from]++;
    if (restore === 'power loss') this.#serversAfterPowerLoss++;
  }

  examined(restore: Restore, { openedFrom, identityCount, templateCount }: Found): void {
    this.#examined[restore]++;
    this.#openedFrom[openedFrom]++;
    this.#last = { identities: identityCount, templates: templateCount };
  }

  /** The same directory, as it lay there and as after a power loss. */
  compared(asItIs: Found, afterPowerLoss: Found): void {
    if (afterPowerLoss.sequence < asItIs.sequence) this.#wentBack++;
  }

  inFlight(restore: Restore, outcomes: readonly { kind: WriteKind; isApplied: boolean }[]): void {
    for (const { kind, isApplied } of outcomes) {
      const counted = this.#inFlight[restore][kind];
      counted.attempts++;
      if (isApplied) counted.applied++;
    }
  }

  /** In the round that goes on. */
  fault(seenBy: string, text: string): void {
    this.faultIn(this.rounds, seenBy, text);
  }

  faultIn(round: number, seenBy: string, text: string): void {
    this.faults.push({ round, seenBy, text });
  }

  report(seed: number, acknowledged: Counts<WriteKind>, folder: string): CrashReport {
    return {
      seed,
      kills: this.kills,
      killsAt: this.#killsAt,
      cleanStops: this.#cleanStops,
      acknowledged,
      inFlight: this.#inFlight,
      examined: this.#examined,
      wentBack: this.#wentBack,
      openedFrom: this.#openedFrom,
      serversAfterPowerLoss: this.#serversAfterPowerLoss,
      ...this.#last,
      seconds: Math.round((performance.now() - this.#startedMs) / 100) / 10,
      faults: this.faults,
      kept: this.faults.length > 0 ? folder : null,
    };
  }
}

function noAttempts(): Record<WriteKind, { attempts: number; applied: number }> {
  const none = writeKinds.map((kind) => [kind, { attempts: 0, applied: 0 }] as const);
  return Object.fromEntries(none) as Record<WriteKind, { attempts: number; applied: number }>;
}

export function formatReport(report: CrashReport): string {
  const { killsAt, acknowledged, inFlight, examined, openedFrom, faults } = report;
  const sum = Object.values(acknowledged).reduce((total, count) => total + count, 0);
  const each = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .map(([name, count]) => `${count} ${name}`)
      .join(', ');
  const attempts = writeKinds.map((kind) => {
    const [now, safe] = [inFlight['as it is'][kind], inFlight['power loss'][kind]];
    return `  ${kind}: ${now.applied} of ${now.attempts} were done, ${safe.applied} of ${safe.attempts} after a power loss`;
  });
  return [
    `seed ${report.seed}`,
    `kills ${report.kills} (${each(killsAt)}), ${report.cleanStops} had closed before`,
    `acknowledged ${sum} (${each(acknowledged)})`,
    'in flight at the kills:',
    ...attempts,
    `read ${examined['as it is']} directories as they were left, ${examined['power loss']} as after a power loss (${report.wentBack} of them went back); ${report.serversAfterPowerLoss} servers went on after a power loss`,
    `graphs opened from ${each(openedFrom)}; at the end ${report.identities} identities, ${report.templates} templates`,
    `${report.seconds} s, ${(report.seconds / Math.max(1, report.kills)).toFixed(2)} s a kill`,
    faults.length === 0
      ? 'nothing was lost, doubled or resurrected'
      : `${faults.length} FAULTS; the directories are kept in ${report.kept}`,
    ...faults.map(({ round, seenBy, text }) => `  seed ${report.seed}, round ${round}, ${seenBy}: ${text}`),
    '',
  ].join('\n');
}
