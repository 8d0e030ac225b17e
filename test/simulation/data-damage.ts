/**
 * Flipped bits in copies of a data file: an index on the copy either is as the model says, because nothing looks at the bit, or reports
 * DATA_CORRUPT. A process that dies, another error, and an answer that is not the model's are findings, told with the kind of page.
 */
import { AssertionError } from 'node:assert';
import { cpSync, openSync, closeSync, readSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { call } from './calls.js';
import { Host, HostDeath } from './host.js';
import type { HostOptions } from './host-child.js';
import type { Flip } from './restart-plan.js';
import { askedOf, assertDumpIs } from './soundness.js';
import type { World } from './world.js';

export type Verdict = 'unharmed' | 'reported' | 'crashed' | 'wrong' | 'miscoded';

export interface DamageFinding {
  readonly verdict: Verdict;
  /** LMDB's word for the page, and the byte in it. */
  readonly page: string;
  readonly place: number;
  readonly bit: number;
  readonly detail: string;
}

const pageBytes = 4096;
/** Where the flags stand in a page header of LMDB's data version 2, and what they mean. */
const flagsOffset = 18;
const pageKinds = [
  [0x08, 'meta'],
  [0x01, 'branch'],
  [0x04, 'overflow'],
  [0x02, 'leaf'],
] as const;

export class DataDamage {
  #host = new Host();
  #copies = 0;

  async close(): Promise<void> {
    await this.#host.kill();
  }

  /** @param from a data directory that nobody has open */
  async judge(
    from: string,
    copies: string,
    flip: Flip,
    world: World,
    nowMs: number,
    options: Omit<HostOptions, 'path'>,
  ): Promise<DamageFinding> {
    const path = join(copies, `copy-${this.#copies++}`);
    cpSync(from, path, { recursive: true });
    const place = flipBit(join(path, 'data.lmdb'), flip);
    try {
      const { verdict, detail } = await this.#verdict(path, world, nowMs, options);
      return { verdict, ...place, bit: flip.bit, detail };
    } finally {
      rmSync(path, { recursive: true, force: true });
    }
  }

  async #verdict(
    path: string,
    world: World,
    nowMs: number,
    options: Omit<HostOptions, 'path'>,
  ): Promise<{ readonly verdict: Verdict; readonly detail: string }> {
    try {
      const opened = await this.#host.open(nowMs, { ...options, path });
      if ('code' in opened) return codeVerdict(opened.code, `opening: ${opened.message}`);
      const first = await this.#dump(world, nowMs);
      if (first) return first;
      const later = await this.#writeTo(world.copy(), nowMs);
      if (later) return later;
      const closed = await this.#host.close(nowMs);
      return 'code' in closed
        ? codeVerdict(closed.code, `closing: ${closed.message}`)
        : { verdict: 'unharmed', detail: '' };
    } catch (error) {
      if (error instanceof HostDeath) {
        this.#host = new Host();
        return { verdict: 'crashed', detail: error.message };
      }
      if (error instanceof AssertionError) {
        await this.#renew();
        return { verdict: 'wrong', detail: error.message };
      }
      throw error;
    }
  }

  /** Undefined when all is as the model says. */
  async #dump(world: World, nowMs: number): Promise<{ verdict: Verdict; detail: string } | undefined> {
    const outcome = await this.#host.dump(nowMs, askedOf(world));
    if ('code' in outcome) {
      await this.#renew();
      return codeVerdict(outcome.code, `reading: ${outcome.message}`);
    }
    assertDumpIs(outcome.dumps, world);
    return undefined;
  }

  /** A damaged list of free pages shows itself only when pages are taken from it. */
  async #writeTo(world: World, nowMs: number): Promise<{ verdict: Verdict; detail: string } | undefined> {
    for (let round = 0; round < 3; round++) {
      for (const name of world.galleries.keys()) {
        const write = call('updateGallery', name, { description: `round ${round} ${'.'.repeat(300)}` });
        const [outcome] = await this.#host.calls(nowMs, [write]);
        if (outcome && 'code' in outcome) {
          await this.#renew();
          return codeVerdict(outcome.code, `writing: ${outcome.message}`);
        }
        if (outcome) world.judge(write, nowMs, outcome);
      }
    }
    return this.#dump(world, nowMs);
  }

  async #renew(): Promise<void> {
    await this.#host.kill();
    this.#host = new Host();
  }
}

function codeVerdict(code: string, detail: string): { readonly verdict: Verdict; readonly detail: string } {
  return { verdict: code === 'DATA_CORRUPT' ? 'reported' : 'miscoded', detail: `${code}: ${detail}` };
}

function flipBit(
  file: string,
  { where, page: pageRank, place: placeRank, bit }: Flip,
): { page: string; place: number } {
  const pages = Math.floor(statSync(file).size / pageBytes);
  const page = Math.floor(pageRank * (where === 'meta' ? 2 : pages));
  const handle = openSync(file, 'r+');
  try {
    const bytes = Buffer.alloc(pageBytes);
    readSync(handle, bytes, 0, pageBytes, page * pageBytes);
    const kind = kindOf(bytes, page);
    const place = Math.floor(placeRank * (where === 'meta' ? 200 : pageBytes));
    bytes[place] = (bytes[place] ?? 0) ^ (1 << bit);
    writeSync(handle, bytes, place, 1, page * pageBytes + place);
    return { page: kind, place };
  } finally {
    closeSync(handle);
  }
}

/** By the flags in the header; a page in the middle of an overflow chain has none of its own. */
function kindOf(bytes: Buffer, page: number): string {
  if (page < 2) return 'meta';
  const flags = bytes.readUInt16LE(flagsOffset);
  const known = bytes.readBigUInt64LE(0) === BigInt(page);
  const [, kind] = pageKinds.find(([flag]) => (flags & 0x0f) === flag) ?? [0, 'other'];
  return known ? kind : 'other';
}
