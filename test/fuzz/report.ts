/** What a fuzz run counts and finds, and how it is told. */
import type { Held, Memory } from './server.js';
import type { CallEnd } from './wire-call.js';

export interface Finding {
  /** Who saw it: the canary, the server's own words, an attacker, the quiet after a round, the end. */
  readonly seenBy: string;
  readonly text: string;
  /** What was going on, each as what replays it. */
  readonly suspects: readonly string[];
  /** How often it was seen. */
  readonly count: number;
}

/** What the server held in the quiet after a round. */
export interface Floor extends Held, Memory {}

export interface FuzzReport {
  readonly seed: number;
  readonly seconds: number;
  readonly attacks: Readonly<Record<string, number>>;
  /** By attacker and outcome. */
  readonly outcomes: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly canary: { readonly answers: number; readonly slowestMs: Readonly<Record<string, number>> };
  /** Before the first attack. */
  readonly before: Held;
  /** One a round; the first of them warmed up. */
  readonly floors: readonly Floor[];
  readonly findings: readonly Finding[];
  /** Where the data directory lies when there are findings. */
  readonly kept: string | null;
}

/**
 * grpc-js's own words for what it cannot read as a call. gRPC gives INTERNAL for them (its list of status codes: "error parsing request
 * proto"), before any handler of ours is asked.
 */
const unreadable =
  /^(Error%20deserializing%20request|Failed%20to%20decompress%20message|Invalid%20grpc-timeout%20value.*)$/;

export class Tally {
  readonly outcomes: Record<string, Record<string, number>> = {};
  readonly attacks: Record<string, number> = {};
  readonly #findings = new Map<string, Finding>();
  readonly #inWork = new Set<string>();
  readonly #onFinding: (finding: Finding) => void;

  /** @param onFinding told of each finding when it is seen first */
  constructor(onFinding: (finding: Finding) => void) {
    this.#onFinding = onFinding;
  }

  get findings(): readonly Finding[] {
    return [...this.#findings.values()];
  }

  /** An attack begins; what is returned ends it. @param replay the words that do it again */
  attackBegins(attacker: string, replay: string): () => void {
    this.attacks[attacker] = (this.attacks[attacker] ?? 0) + 1;
    this.#inWork.add(replay);
    return () => void this.#inWork.delete(replay);
  }

  ended(attacker: string, replay: string, { outcome, details }: CallEnd): void {
    const isUnreadable = outcome === 'gRPC INTERNAL' && unreadable.test(details);
    const told = isUnreadable ? 'gRPC INTERNAL (unreadable)' : outcome;
    const counts = (this.outcomes[attacker] ??= {});
    counts[told] = (counts[told] ?? 0) + 1;
    if (told === 'INTERNAL' || told === 'gRPC INTERNAL' || told === 'gRPC UNKNOWN' || told === 'hang') {
      this.find(attacker, `${told} ${details}`, [replay]);
    }
  }

  /** The same words again only count. */
  find(seenBy: string, text: string, suspects: readonly string[] = [...this.#inWork]): void {
    // Log lines differ in their time, stacks in nothing that matters.
    const key = `${seenBy} ${text.replaceAll(/"time":\d+/g, '')}`;
    const known = this.#findings.get(key);
    const finding = known ? { ...known, count: known.count + 1 } : { seenBy, text, suspects, count: 1 };
    this.#findings.set(key, finding);
    if (!known) this.#onFinding(finding);
  }
}

export function formatReport(report: FuzzReport): string {
  const { seed, seconds, attacks, outcomes, canary, before, floors, findings, kept } = report;
  const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
  return [
    `seed ${seed}, ${seconds} s`,
    ...Object.entries(outcomes).map(([attacker, counts]) => {
      const told = Object.entries(counts).toSorted(([, a], [, b]) => b - a);
      return `${attacker}: ${attacks[attacker] ?? 0} attacks; ${told.map(([outcome, count]) => `${outcome} ${count}`).join(', ')}`;
    }),
    `canary: ${canary.answers} answers; the slowest: ${Object.entries(canary.slowestMs)
      .map(([what, ms]) => `${what} ${Math.round(ms)} ms`)
      .join(', ')}`,
    `before: ${before.files} open files, ${before.sockets} of them sockets`,
    ...floors.map(
      ({ files, sockets, heapBytes, externalBytes, residentBytes }, round) =>
        `quiet after round ${round + 1}: ${files} open files, ${sockets} sockets; ${mebibytes(heapBytes)} MiB heap, ${mebibytes(externalBytes)} MiB external, ${mebibytes(residentBytes)} MiB resident`,
    ),
    findings.length === 0 ? 'no finding' : `${findings.length} FINDINGS; the data directory is kept in ${kept}`,
    ...findings.flatMap(({ seenBy, text, suspects, count }) => [
      `  ${seenBy}, ${count} times: ${text}`,
      ...suspects.map((suspect) => `    npm run fuzz -- ${suspect}`),
    ]),
    '',
  ].join('\n');
}
