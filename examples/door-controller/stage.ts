/**
 * What the example needs around the door: people, and a day's recordings. The photos and the server are real; the times of the frames are invented, and the
 * frames of a person are alterations of one photo, as a camera might deliver it: half the size, darkened, badly compressed, mirrored.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RemoteDatabase } from 'harmonid/client';
import { alterations, emptyScene, groupPhoto, portrait } from '../../test/support/photos.js';
import { recordedName } from './recording.js';
import type { Direction, Rules } from './rules.js';

/** Whose face it is in the sample photos. */
const faces = { ada: 'blonde', bea: 'bow', cleo: 'green', stranger: 'burgundy' } as const;

const people = { ada: 'staff', bea: 'cleaners', cleo: 'staff' } as const;

type Shown = keyof typeof faces | 'nobody' | 'several';

export interface Visit {
  readonly name: string;
  readonly direction: Direction;
  readonly startsAt: Date;
  /** A frame every half second. */
  readonly shows: readonly Shown[];
  /** The server is stopped after the first frame was answered, and started again after the second was sent. */
  readonly restarts?: boolean;
}

export const rules: Rules = {
  agreement: { framesMin: 3, framesOf: 5, ageMsMax: 5_000 },
  holdMs: 10_000,
  openings: [
    { group: 'staff', days: [1, 2, 3, 4, 5], from: '07:00', until: '19:00' },
    { group: 'cleaners', days: [1, 2, 3, 4, 5], from: '18:00', until: '22:00' },
  ],
};

/** A time on Wednesday, 25 November 2026, in the time zone of the process. */
const at = (hour: number, minute: number): Date => new Date(2026, 10, 25, hour, minute);

const frames = (count: number, who: Shown): Shown[] => Array.from({ length: count }, () => who);

export const day: readonly Visit[] = [
  { name: 'Ada comes and stands in the door', direction: 'in', startsAt: at(8, 0), shows: frames(10, 'ada') },
  { name: 'Ada once more, who is in', direction: 'in', startsAt: at(8, 5), shows: frames(5, 'ada') },
  { name: 'a stranger', direction: 'in', startsAt: at(8, 10), shows: frames(5, 'stranger') },
  {
    name: 'Cleo walks past',
    direction: 'in',
    startsAt: at(8, 15),
    shows: ['nobody', 'cleo', 'cleo', 'nobody', 'nobody', 'nobody'],
  },
  { name: 'several at once', direction: 'in', startsAt: at(8, 20), shows: frames(5, 'several') },
  { name: 'Bea before her hours', direction: 'in', startsAt: at(9, 0), shows: frames(5, 'bea') },
  { name: 'Ada goes', direction: 'out', startsAt: at(12, 0), shows: frames(5, 'ada') },
  { name: 'Ada, the server restarts', direction: 'in', startsAt: at(13, 0), shows: frames(5, 'ada'), restarts: true },
  { name: 'Bea in her hours', direction: 'in', startsAt: at(18, 30), shows: ['nobody', ...frames(5, 'bea')] },
];

export async function enrolEverybody(desk: RemoteDatabase): Promise<void> {
  for (const [identity, group] of Object.entries(people)) {
    const images = [await portrait(faces[identity as keyof typeof people])];
    await desk.enroll({ identity, groups: [group], images, idempotencyKey: `${identity}-1` });
  }
}

/** Writes what the camera sees during a visit; returns the folder. */
export async function record({ startsAt, shows }: Visit, folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  for (const [i, shown] of shows.entries()) {
    const capturedAt = new Date(startsAt.getTime() + 500 * i);
    await writeFile(join(folder, recordedName(capturedAt)), await photoOf(shown, i));
  }
  return folder;
}

async function photoOf(shown: Shown, number: number): Promise<Buffer> {
  if (shown === 'nobody') return emptyScene();
  if (shown === 'several') return groupPhoto(1);
  const alter = Object.values(alterations);
  const photo = await portrait(faces[shown]);
  return alter[number % alter.length]?.(photo) ?? photo;
}
