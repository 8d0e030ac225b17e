/**
 * Photos of a folder of people through a stream that answers each one, in the order in which they finish.
 *
 * A photo is read when the stream asks for it. What cannot be read or is refused stops nothing: it is listed.
 */
import { readFile } from 'node:fs/promises';
import { asHarmonidError, HarmonidError, isHarmonidError } from '../errors.js';
import { exitCodes, failureJson, type ExitCode, type FailureJson } from './failure.js';
import type { PersonPhoto } from './photos.js';
import { startProgress } from './progress.js';
import { note, type Terminal } from './terminal.js';

export interface RefusedPhoto {
  readonly photo: string;
  readonly identity: string;
  readonly error: FailureJson;
}

/** What became of the photos that were not taken. */
export interface PhotoStreamEnd {
  readonly refused: readonly RefusedPhoto[];
  readonly seconds: number;
  /** What stopped the stream on its way. */
  readonly failure: HarmonidError | undefined;
  /** False when it was interrupted or failed on the way. */
  readonly complete: boolean;
}

export interface PhotoStream<Sample, Answer> {
  /** What is sent of a photo; undefined passes it over. */
  readonly sampleOf: (photo: PersonPhoto, bytes: Uint8Array) => Sample | undefined | Promise<Sample | undefined>;
  readonly send: (
    samples: AsyncIterable<Sample>,
  ) => AsyncIterable<(Answer & { readonly error?: undefined }) | { readonly index: number; readonly error: Error }>;
  readonly take: (answer: Answer, photo: PersonPhoto) => void;
}

export async function sendPhotos<Sample, Answer extends { readonly index: number }>(
  terminal: Terminal,
  photos: readonly PersonPhoto[],
  { sampleOf, send, take }: PhotoStream<Sample, Answer>,
): Promise<PhotoStreamEnd> {
  const startedMs = performance.now();
  const inWork = new Map<number, PersonPhoto>();
  const refused: RefusedPhoto[] = [];
  let failure: HarmonidError | undefined;
  let passedOver = 0;
  let taken = 0;
  const progress = startProgress(terminal, photos.length, 'photos');
  const refuse = ({ path: photo, identity }: PersonPhoto, error: unknown): void => {
    refused.push({ photo, identity, error: failureJson(error) });
  };

  async function* samples(): AsyncGenerator<Sample> {
    let index = 0;
    for (const photo of photos) {
      let bytes: Uint8Array;
      try {
        bytes = await readFile(photo.path);
      } catch (cause) {
        refuse(photo, new HarmonidError('IMAGE_UNREADABLE', 'the file cannot be read', { cause }));
        continue;
      }
      const sample = await sampleOf(photo, bytes);
      if (sample === undefined) {
        passedOver++;
        continue;
      }
      inWork.set(index++, photo);
      yield sample;
    }
  }

  try {
    for await (const result of send(samples())) {
      const photo = inWork.get(result.index);
      if (!photo) throw new HarmonidError('INTERNAL', `item ${result.index} was answered, which was not sent`);
      inWork.delete(result.index);
      if (result.error === undefined) {
        take(result, photo);
        taken++;
      } else if (!isCancelled(result.error)) refuse(photo, result.error);
      progress.reach(taken + passedOver + refused.length);
    }
  } catch (error) {
    failure = asHarmonidError(error);
  } finally {
    progress.stop();
  }
  return {
    // Several are in work at the same time; people read names in their order.
    refused: refused.toSorted((a, b) => (a.photo < b.photo ? -1 : 1)),
    seconds: Number(((performance.now() - startedMs) / 1000).toFixed(3)),
    failure,
    complete: !failure && !terminal.interrupt.aborted,
  };
}

/** What was cancelled is not refused: it is taken when the command is repeated. */
function isCancelled(error: Error): boolean {
  return isHarmonidError(error) && error.code === 'CANCELLED';
}

/** The exit code, after a word on how to go on. @param kept e.g. `what was enrolled stays; repeat the import to go on` @throws what stopped it */
export function endOfPhotos(
  terminal: Terminal,
  { failure, refused }: PhotoStreamEnd,
  { kept, allowRefused }: { readonly kept: string; readonly allowRefused: boolean },
): ExitCode {
  if (terminal.interrupt.aborted) {
    note(terminal, `interrupted: ${kept}`);
    return exitCodes.interrupted;
  }
  if (failure) {
    note(terminal, `stopped: ${kept}`);
    throw failure;
  }
  return refused.length > 0 && !allowRefused ? exitCodes.refused : exitCodes.done;
}
