/**
 * A folder of photos, played as a camera.
 *
 * The name of a file is when it was captured: `2026-11-25T08-00-00.250Z.jpg`. The next frame comes when the one before was answered, so that no frame is
 * dropped and every run is the same; a live camera would not wait.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Camera, CameraFrame } from './door.js';

export class Recording implements Camera {
  readonly #folder: string;
  #answered: (() => void) | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  answered(): void {
    this.#answered?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<CameraFrame, void, void> {
    const names = (await readdir(this.#folder)).filter((name) => name.endsWith('.jpg')).toSorted();
    for (const [sequence, name] of names.entries()) {
      const image = await readFile(join(this.#folder, name));
      const answered = new Promise<void>((resolve) => (this.#answered = resolve));
      yield { sequence, capturedAt: timeOf(name), image };
      await answered;
    }
  }
}

export function recordedName(at: Date): string {
  return `${at.toISOString().replaceAll(':', '-')}.jpg`;
}

function timeOf(name: string): Date {
  return new Date(name.replace(/\.jpg$/, '').replace(/T(\d\d)-(\d\d)-/, 'T$1:$2:'));
}
