/**
 * The lanes of a gallery: sets of vectors, each in one space, of the same templates. Pure.
 *
 * A gallery has one lane, which serves; while it moves to another space it has a second one beside it. A template has one number in both.
 * Which of them serves is a word in the gallery's own record, so that one put changes it for everybody. Lanes are numbered upwards and never again.
 */
import type { GalleryRecord, LaneRecord } from './codec.js';
import type { Calibration } from './records.js';

/** What the reads of a lane need to know: it stands in every key and vector. */
export interface LaneKey {
  /** Of the gallery. */
  readonly number: number;
  /** Default 0. */
  readonly lane?: number | undefined;
  readonly dimensions: number;
}

export function servingLane(record: GalleryRecord): LaneRecord {
  const { lane = 0, space, dimensions, threshold, thresholdSource, templateCount, calibration } = record;
  return { lane, space, dimensions, threshold, thresholdSource, templateCount, ...(calibration && { calibration }) };
}

/** The one that serves first. */
export function lanesOf(record: GalleryRecord): readonly LaneRecord[] {
  return record.beside ? [servingLane(record), record.beside] : [servingLane(record)];
}

/** Undefined when none is in that space. */
export function laneIn(record: GalleryRecord, space: string): LaneRecord | undefined {
  return lanesOf(record).find((lane) => lane.space === space);
}

export function keyOfLane({ number }: GalleryRecord, { lane, dimensions }: LaneRecord): LaneKey {
  return { number, lane, dimensions };
}

/** The lane beside serves from now on, and what served is beside it. */
export function switchedLanes(record: GalleryRecord, beside: LaneRecord): GalleryRecord {
  const { calibration: _former, ...rest } = record;
  return { ...rest, ...beside, beside: servingLane(record) };
}

/** The distance that a template's is worth among native ones; see `Calibration`. */
export function calibrated(
  calibration: Calibration | undefined,
  origin: keyof Calibration | 'native',
  distance: number,
): number {
  const knots = origin === 'native' ? undefined : calibration?.[origin];
  if (!knots) return distance;
  let [fromX, fromY] = [0, 0];
  for (const [x, y] of [...knots, [4, 4] as const]) {
    if (distance <= x) return x === fromX ? y : fromY + ((distance - fromX) / (x - fromX)) * (y - fromY);
    [fromX, fromY] = [x, y];
  }
  return distance;
}
