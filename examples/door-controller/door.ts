/**
 * A door: cameras in, a relay out, a line for every decision.
 *
 * Promises: the relay is told to open only after the line that says so is on the disk; when the line cannot be written the door stays shut. A server that is away
 * leaves the door shut and is found again without help. Who is inside is what the log says, also after a restart.
 */
import type { Frame, FrameAnswer, HarmonidError, RemoteDatabase } from 'harmonid/client';
import type { DecisionLog } from './decision-log.js';
import { agreedOn, counted, isHeld, judge, nameOf } from './rules.js';
import type { Direction, Person, Rules, Sighting } from './rules.js';

export interface CameraFrame {
  /** Grows with every frame of a camera. */
  readonly sequence: number;
  readonly capturedAt: Date;
  /** JPEG. */
  readonly image: Uint8Array;
}

export interface Camera extends AsyncIterable<CameraFrame> {
  /** Told when a frame was answered and what follows from it was done. A recording waits for that; a live camera does not. */
  answered?(sequence: number): void;
}

/** Opens the lock. Rejects when that did not work. */
export type Relay = (passage: { readonly identity: string; readonly direction: Direction }) => Promise<void>;

export interface DoorOptions {
  readonly name: string;
  readonly database: RemoteDatabase;
  readonly gallery: string;
  readonly rules: Rules;
  readonly relay: Relay;
  readonly log: DecisionLog;
  /** Told why the cameras see nothing, until the next answer. */
  readonly onBlind?: (error: HarmonidError) => void;
}

/** What a frame may be answered with in ordinary days; anything else is a mistake that somebody must mend. */
const passing = new Set<string>(['NO_FACE', 'SEVERAL_FACES', 'IMAGE_UNREADABLE', 'IMAGE_EMPTY', 'OVERLOADED']);

export class Door {
  readonly #options: DoorOptions;
  /** By direction and name. */
  readonly #decidedAt = new Map<string, Date>();

  constructor(options: DoorOptions) {
    this.#options = options;
  }

  /**
   * Until the camera ends. Both sides of a door are watched at the same time.
   * @throws the codes of `identify` that do not pass by themselves, e.g. PERMISSION_DENIED, GALLERY_NOT_FOUND
   */
  async watch(camera: Camera, direction: Direction, signal?: AbortSignal): Promise<void> {
    const { database, gallery, rules, onBlind } = this.#options;
    const answers = database.identifyStream(framesOf(camera, gallery), {
      reconnect: true,
      onInterruption: onBlind,
      signal,
    });
    let sightings: readonly Sighting[] = [];
    for await (const answer of answers) {
      const sighting = sightingOf(answer);
      sightings = counted([...sightings, sighting], sighting.at, rules.agreement);
      const who = agreedOn(sightings, rules.agreement.framesMin);
      if (who !== undefined) await this.#decide(who, direction, sighting, answer.sequence);
      camera.answered?.(answer.sequence);
    }
  }

  /** @param newest the frame that decides; it need not show the one on whom enough of them agree */
  async #decide(who: Person | 'stranger', direction: Direction, newest: Sighting, sequence: number): Promise<void> {
    const { name, rules, relay, log } = this.#options;
    const { at } = newest;
    const key = `${direction} ${nameOf(who)}`;
    if (isHeld(this.#decidedAt.get(key), at, rules.holdMs)) return;
    this.#decidedAt.set(key, at);
    const verdict = judge(who, direction, { inside: log.inside, openings: rules.openings, at });
    const identity = who === 'stranger' ? null : who.identity;
    const rate = newest.who === who && newest.fpir !== undefined ? { fpir: newest.fpir } : {};
    const line = { at: at.toISOString(), door: name, direction, identity, sequence, ...rate };
    await log.append({ ...line, verdict });
    if (verdict !== 'opened' || identity === null) return;
    try {
      await relay({ identity, direction });
    } catch (error) {
      await log.append({ ...line, verdict: 'not-opened', reason: String(error) });
    }
  }
}

async function* framesOf(camera: Camera, gallery: string): AsyncGenerator<Frame> {
  for await (const frame of camera) yield { ...frame, gallery, k: 2 };
}

function sightingOf({ capturedAt = new Date(), error, identifications = [] }: FrameAnswer): Sighting {
  if (error && !passing.has(error.code)) throw error;
  const [found] = identifications;
  if (!found || found.decision === 'ambiguous') return { at: capturedAt, who: 'nobody' };
  const [best] = found.candidates;
  const rate = found.fpir === null ? {} : { fpir: found.fpir };
  return { at: capturedAt, who: found.decision === 'match' && best ? best : 'stranger', ...rate };
}
