/** What the bench `graph` asks of every graph, and the shape in which graphs answer. */

/** Nearest templates that are asked for, a probe: each recall of those that were asked for. */
export const asked = [1, 10] as const;
/** Candidates that graphs of coarser vectors compare once more by finer ones. */
export const refined = 20;
export const widths = [16, 24, 32, 48, 64, 96, 128, 192, 256] as const;

/** The probes once, with one width: microseconds a search and the labels that were found, k a probe. */
export type Search = (
  width: number,
  k: number,
) => Promise<{ readonly microseconds: number; readonly labels: readonly number[] }>;

export interface Peer {
  readonly name: string;
  /** Its construction; null for what another one has built. */
  readonly built: { readonly seconds: number; readonly bytes: number } | null;
  /** Those that it is asked with. A scan has one: the whole gallery. */
  readonly widths: readonly number[];
  /** A slow peer may answer the first probes only. */
  readonly search: Search;
  close(): Promise<void>;
}

/** Exactly k; -1 where nothing was found. */
export function padded(labels: readonly number[], k: number): readonly number[] {
  return Array.from({ length: k }, (_, place) => labels[place] ?? -1);
}
