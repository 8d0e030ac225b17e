/**
 * Camera frames to a server and answers back, over as many connections as it takes.
 *
 * Promises: the source is read by one reader, which is not interrupted when a stream is. While there is no stream, frames are taken and dropped, all but the
 * newest, so that what is searched next is what the camera sees now. The newest frame stays until it is answered: one that was under way when a stream
 * was cut is sent again, so the last frame of a source is answered whatever happens between. Every frame that was taken is answered once or counted as
 * dropped.
 */
import { setImmediate } from 'node:timers/promises';
import type { CallOptions, Identification, Sample, SearchOptions } from '../api.js';
import type { HarmonidError } from '../errors.js';
import { faceSelections, numberOf } from '../wire/enums.js';
import { errorOfWire } from '../wire/error-status.js';
import {
  IdentityServiceService as service,
  type IdentifyStreamRequest,
  type IdentifyStreamResponse,
} from '../wire/harmonid/v1/identity.js';
import type { Connection } from './connection.js';
import { formatSample, formatSearch } from './format.js';
import { parseIdentification, present } from './parse.js';
import { isPassing, waitBeforeRetryMs } from './retry.js';

/** A camera frame. */
export type Frame = SearchOptions &
  Sample & {
    /** Comes back with the answer; normally grows by one with every frame. A whole number, at least 0. */
    readonly sequence: number;
    /** Comes back with the answer. */
    readonly capturedAt?: Date | undefined;
    readonly gallery?: string | undefined;
    /** When the frame shows several faces: refuse (default), search the largest, or search all. */
    readonly faces?: 'one' | 'largest' | 'all' | undefined;
  };

/** What became of a frame that was searched. */
export type FrameAnswer = {
  readonly sequence: number;
  readonly capturedAt: Date | undefined;
  /** Frames dropped so far, because newer ones came before they could be searched, or because there was no server. */
  readonly dropped: number;
} & (
  | { readonly identifications: readonly Identification[]; readonly error?: undefined }
  | { readonly error: HarmonidError; readonly identifications?: undefined }
);

export interface FrameStreamOptions extends CallOptions {
  /**
   * Opens the stream again when it ends with UNAVAILABLE (the server restarts, drains, cannot be reached) or with OVERLOADED that says when to come again;
   * without end, at growing intervals of up to five seconds. Default false: such an end is thrown.
   */
  readonly reconnect?: boolean | undefined;
  /** Told why, each time before the stream is opened again: the camera is blind from now to the next answer. */
  readonly onInterruption?: ((error: HarmonidError) => void) | undefined;
}

export async function* identifyFrames(
  connection: Connection,
  frames: AsyncIterable<Frame> | Iterable<Frame>,
  options: FrameStreamOptions,
): AsyncGenerator<FrameAnswer, void, void> {
  const { reconnect = false, onInterruption, signal } = options;
  const feed = new FrameFeed(frames);
  let failures = 0;
  try {
    for (;;) {
      try {
        for await (const answer of connection.bidirectional(service.identifyStream, feed.requests(), { signal })) {
          failures = 0;
          yield parseFrameAnswer(answer, feed.answered(answer));
        }
        return;
      } catch (error) {
        if (!reconnect || !isPassing(error) || error === feed.failure) throw error;
        failures++;
        onInterruption?.(error);
        await feed.passOver(connection.pause(waitBeforeRetryMs(error, failures, Math.random), signal));
      }
    }
  } finally {
    feed.close();
  }
}

/** One source of frames for several streams, one after the other. */
class FrameFeed {
  readonly #source: AsyncIterator<Frame> | Iterator<Frame>;
  /** The frame that was asked for; whoever wants one meanwhile waits for the same. */
  #arriving: Promise<void> | undefined;
  /** Not answered yet. */
  #newest: { readonly frame: Frame } | undefined;
  #end: { readonly failure?: unknown } | undefined;
  #takenCount = 0;
  #answeredCount = 0;
  /** By earlier streams, and while there was none. */
  #droppedBefore = 0;

  constructor(frames: AsyncIterable<Frame> | Iterable<Frame>) {
    this.#source = Symbol.asyncIterator in frames ? frames[Symbol.asyncIterator]() : frames[Symbol.iterator]();
  }

  /** What the source threw. */
  get failure(): unknown {
    return this.#end?.failure;
  }

  /** For the next stream; takes from the source only what is asked for. */
  async *requests(): AsyncGenerator<IdentifyStreamRequest, void, void> {
    this.#droppedBefore = this.#takenCount - this.#answeredCount - (this.#newest ? 1 : 0);
    let sent: { readonly frame: Frame } | undefined;
    for (;;) {
      if (this.#newest && this.#newest !== sent) {
        sent = this.#newest;
        yield formatFrame(sent.frame);
      } else if (this.#end) {
        if ('failure' in this.#end) throw this.#end.failure;
        return;
      } else {
        await this.#take();
      }
    }
  }

  /** @returns how many frames were dropped so far */
  answered({ sequence, dropped }: IdentifyStreamResponse): number {
    this.#answeredCount++;
    if (this.#newest?.frame.sequence === sequence) this.#newest = undefined;
    return this.#droppedBefore + dropped;
  }

  /** Takes frames that there is no stream for, until `pause` ends; rejects as it does. */
  async passOver(pause: Promise<void>): Promise<void> {
    let isOver = false;
    const over = pause.finally(() => (isOver = true));
    while (!isOver && !this.#end) {
      await Promise.race([this.#take(), over]);
      // A source that never waits would leave nobody else a turn.
      await setImmediate();
    }
    await over;
  }

  /** Frees the source. Not waited for, since it may be waiting for a frame that never comes. */
  close(): void {
    void this.#free();
  }

  /** Never rejects. */
  async #free(): Promise<void> {
    try {
      await this.#source.return?.();
    } catch {
      // Nobody asks any more how the source fares.
    }
  }

  /** Never rejects. */
  #take(): Promise<void> {
    return (this.#arriving ??= this.#takeNext());
  }

  async #takeNext(): Promise<void> {
    try {
      const next = await this.#source.next();
      if (next.done) {
        this.#end = {};
      } else {
        this.#takenCount++;
        this.#newest = { frame: next.value };
      }
    } catch (error) {
      this.#end = { failure: error };
    } finally {
      this.#arriving = undefined;
    }
  }
}

function formatFrame(frame: Frame): IdentifyStreamRequest {
  return {
    sequence: frame.sequence,
    capturedAt: frame.capturedAt,
    frame: {
      gallery: frame.gallery,
      sample: formatSample(frame),
      faces: numberOf(faceSelections, frame.faces, 'faces'),
      search: formatSearch(frame),
    },
  };
}

function parseFrameAnswer({ sequence, capturedAt, outcome }: IdentifyStreamResponse, dropped: number): FrameAnswer {
  const { $case, value } = present(outcome, 'outcome');
  return $case === 'answer'
    ? { sequence, capturedAt, dropped, identifications: value.identifications.map(parseIdentification) }
    : { sequence, capturedAt, dropped, error: errorOfWire(value) };
}
