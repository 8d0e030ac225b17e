/**
 * Whether a process holds what it should give back: the rule of the soak.
 *
 * Memory rises and falls with collections, so its floor is looked at: the least of each of ten equal parts of the time after the warm-up, which is the first
 * quarter. A straight line through the ten by least squares may rise by no more than a twentieth of their mean over that time, or 16 MiB where that is more. Shorter than five minutes
 * nothing is said of memory. Descriptors, sockets and threads at rest after the load are held against those at rest before it.
 */
import type { ProcessFigures } from './process-figures.js';

const parts = 10;
const warmUpShare = 0.25;
const riseShareMax = 0.05;
const riseMinMiB = 16;
export const judgedFromSeconds = 300;

export interface Rise {
  /** Of the line, from the end of the warm-up to the end. */
  readonly riseMiB: number;
  readonly allowedMiB: number;
  readonly perHourMiB: number;
}

/** Null when the time is too short for it. */
export function judgeMemory(samples: readonly ProcessFigures[]): Rise | null {
  const endSeconds = samples.at(-1)?.atSeconds ?? 0;
  if (endSeconds < judgedFromSeconds) return null;
  const beginSeconds = warmUpShare * endSeconds;
  const partSeconds = (endSeconds - beginSeconds) / parts;
  const floors = Array.from({ length: parts }, (_, part) => {
    const from = beginSeconds + part * partSeconds;
    const inPart = samples.filter(({ atSeconds }) => atSeconds >= from && atSeconds <= from + partSeconds);
    return Math.min(...inPart.map(({ anonymousMiB }) => anonymousMiB));
  });
  const mean = floors.reduce((sum, floor) => sum + floor, 0) / parts;
  const centre = (parts - 1) / 2;
  const covariance = floors.reduce((sum, floor, part) => sum + (part - centre) * (floor - mean), 0);
  const variance = floors.reduce((sum, _, part) => sum + (part - centre) ** 2, 0);
  const riseMiB = (covariance / variance) * parts;
  return {
    riseMiB: Math.round(riseMiB * 10) / 10,
    allowedMiB: Math.round(Math.max(riseMinMiB, riseShareMax * mean) * 10) / 10,
    perHourMiB: Math.round((riseMiB / (endSeconds - beginSeconds)) * 3600),
  };
}

/** What did not come back, in words. Both at rest: no client is connected. */
export function judgeHandles(before: ProcessFigures, after: ProcessFigures): readonly string[] {
  const faults = (['descriptors', 'sockets', 'threads'] as const).flatMap((name) =>
    after[name] > before[name] ? [`${name}: ${before[name]} at rest before the load, ${after[name]} after it`] : [],
  );
  return after.callsInFlight === 0 ? faults : [...faults, `${after.callsInFlight} calls are in flight at rest`];
}
