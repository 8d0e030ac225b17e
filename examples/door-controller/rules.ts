/**
 * When a door opens: functions of what was seen and of the time, and nothing else.
 *
 * Promises: no clock, no camera, no memory of its own; whoever calls keeps the state. A frame in which several people stand, or in which it is not clear who does, speaks for
 * nobody.
 */
export type Direction = 'in' | 'out';

/** What one frame says. */
export type Sighting = {
  readonly at: Date;
  /** So many strangers are as near to somebody as this face, 0 to 1; absent where the gallery is not calibrated. */
  readonly fpir?: number;
} & (
  | { readonly who: Person }
  /** A face that belongs to nobody who is enrolled. */
  | { readonly who: 'stranger' }
  /** No face, several faces, or one that could be two people's. */
  | { readonly who: 'nobody' }
);

export interface Person {
  readonly identity: string;
  readonly groups: readonly string[];
}

/** Hours in which members of a group may come in, in the time zone of the process. */
export interface Opening {
  readonly group: string;
  /** 0 is Sunday. The day on which the opening begins. */
  readonly days: readonly number[];
  /** `HH:MM`. */
  readonly from: string;
  /** `HH:MM`, not included; before `from`: of the next day. */
  readonly until: string;
}

export interface Rules {
  readonly agreement: {
    /** So many frames must show the same person … More makes strangers who look alike once rarer, and takes longer. */
    readonly framesMin: number;
    /** … among so many of the newest … */
    readonly framesOf: number;
    /** … which are no older than this, milliseconds. */
    readonly ageMsMax: number;
  };
  /** Nothing more is decided about a person for so long after a decision, milliseconds. Longer than it takes to walk through. */
  readonly holdMs: number;
  readonly openings: readonly Opening[];
}

export type Verdict =
  | 'opened'
  /** Somebody who is not enrolled. */
  | 'stranger'
  /** No opening of the person's groups at this time. */
  | 'not-permitted'
  /** Went in and has not come out: the face may be a picture, or somebody follows. */
  | 'already-inside';

/** The sightings that count at a time: the newest few, without those that are too old. */
export function counted(
  sightings: readonly Sighting[],
  at: Date,
  { framesOf, ageMsMax }: Rules['agreement'],
): readonly Sighting[] {
  return sightings.filter((each) => at.getTime() - each.at.getTime() <= ageMsMax).slice(-framesOf);
}

/** Whom enough of them show, as the newest of them shows the person; undefined when they do not agree. */
export function agreedOn(sightings: readonly Sighting[], framesMin: number): Person | 'stranger' | undefined {
  const counts = new Map<string, number>();
  for (const { who } of sightings) {
    if (who === 'nobody') continue;
    counts.set(nameOf(who), (counts.get(nameOf(who)) ?? 0) + 1);
  }
  for (const { who } of sightings.toReversed()) {
    if (who !== 'nobody' && (counts.get(nameOf(who)) ?? 0) >= framesMin) return who;
  }
  return undefined;
}

/** Whether a decision about the same person still holds. */
export function isHeld(decidedAt: Date | undefined, at: Date, holdMs: number): boolean {
  return decidedAt !== undefined && at.getTime() - decidedAt.getTime() < holdMs;
}

/** Whether one of the groups may come in at a time. */
export function isOpenTo(groups: readonly string[], openings: readonly Opening[], at: Date): boolean {
  const minute = at.getHours() * 60 + at.getMinutes();
  const today = at.getDay();
  const yesterday = (today + 6) % 7;
  return openings.some(({ group, days, from, until }) => {
    if (!groups.includes(group)) return false;
    const [first, end] = [minuteOf(from), minuteOf(until)];
    if (first <= end) return days.includes(today) && first <= minute && minute < end;
    return (days.includes(today) && first <= minute) || (days.includes(yesterday) && minute < end);
  });
}

/**
 * What becomes of somebody at the door. Out opens for everybody who is known, at any time and also when nobody saw them come in: a door that keeps people in is
 * a danger.
 */
export function judge(
  who: Person | 'stranger',
  direction: Direction,
  {
    inside,
    openings,
    at,
  }: { readonly inside: ReadonlySet<string>; readonly openings: readonly Opening[]; readonly at: Date },
): Verdict {
  if (who === 'stranger') return 'stranger';
  if (direction === 'out') return 'opened';
  if (!isOpenTo(who.groups, openings, at)) return 'not-permitted';
  return inside.has(who.identity) ? 'already-inside' : 'opened';
}

/** Who is inside after somebody went through. */
export function insideAfter(inside: ReadonlySet<string>, identity: string, direction: Direction): ReadonlySet<string> {
  const after = new Set(inside);
  if (direction === 'in') after.add(identity);
  else after.delete(identity);
  return after;
}

/** How a person, or any stranger, is told from others; no identity is empty. */
export function nameOf(who: Person | 'stranger'): string {
  return who === 'stranger' ? '' : who.identity;
}

function minuteOf(time: string): number {
  const match = /^([01]\d|2[0-4]):([0-5]\d)$/.exec(time);
  if (!match) throw new Error(`${time} is no time of day: HH:MM`);
  return Number(match[1]) * 60 + Number(match[2]);
}
