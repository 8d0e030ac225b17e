/** What a run of the simulation consists of, and the figures that it leaves. */
import type { DamageFinding } from './data-damage.js';
import type { Host } from './host.js';
import type { HostOptions } from './host-child.js';
import type { Place } from './place.js';
import type { Starvation } from './plan.js';
import type { Recall, World } from './world.js';

export interface SimulationReport {
  readonly seed: number;
  steps: number;
  operations: number;
  /** By how the index ended. */
  readonly restarts: Record<string, number>;
  restartCount: number;
  /** By what befell the files. */
  readonly damages: Record<string, number>;
  readonly starvations: Record<string, number>;
  /** Writes refused with DISK_FULL, and what else a starved index answered. */
  readonly refusals: Record<string, number>;
  /** Openings refused with DATA_LOCKED, as they should be. */
  lockedOut: number;
  /** By opening: where the graph came from. */
  readonly openedFrom: Record<string, number>;
  readonly flips: DamageFinding[];
  readonly recall: Recall;
  /** False where no small file system could be mounted: then a full disk is played by limits of file sizes only. */
  readonly isDiskSmall: boolean;
}

/** What a run consists of while it runs; `restarts.ts` ends and begins its index. */
export interface RunState {
  readonly place: Place;
  readonly world: World;
  readonly report: SimulationReport;
  readonly hostOptions: Omit<HostOptions, 'path'>;
  nowMs: number;
  host: Host;
  starvation: (Starvation & { readonly untilStep: number }) | null;
}

export function count(into: Record<string, number>, name: string): void {
  into[name] = (into[name] ?? 0) + 1;
}
