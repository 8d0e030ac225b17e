/**
 * Method: small files of random bytes with pieces of needles in them, at every alignment, whole, torn and partly overwritten; the
 * expected bytes come from comparing every position with every place of every needle.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { findAnywhere, findRemains, remainBytesMin } from '../../src/index/remains.js';
import { randomFrom, runSeed, type Random } from './faces.js';
import { inTemporaryFolder } from './folders.js';

interface Range {
  readonly start: number;
  readonly end: number;
}

function bytesOf(length: number, random: Random): Buffer {
  return Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)));
}

/** Positions of the file that are part of a stretch that counts, by brute force. */
function expectedBytes(file: Buffer, ranges: readonly Range[], needles: readonly Buffer[]): Set<number> {
  const expected = new Set<number>();
  for (const needle of needles) {
    const least = Math.min(remainBytesMin, needle.length);
    for (const { start, end } of ranges) {
      for (let at = start; at + least <= end; at++) {
        for (let place = 0; place + least <= needle.length; place++) {
          if (file.compare(needle, place, place + least, at, at + least) !== 0) continue;
          for (let i = 0; i < least; i++) expected.add(at + i);
        }
      }
    }
  }
  return expected;
}

function foundBytes(file: Buffer, needles: readonly Buffer[], remains: ReturnType<typeof findRemains>): Set<number> {
  const found = new Set<number>();
  for (const { start, bytes, needle, needleStart } of remains) {
    const searched = needles[needle] ?? Buffer.alloc(0);
    assert.equal(
      file.compare(searched, needleStart, needleStart + bytes, start, start + bytes),
      0,
      'it is what it says',
    );
    for (let i = 0; i < bytes; i++) found.add(start + i);
  }
  return found;
}

const sorted = (set: Set<number>): number[] => [...set].toSorted((a, b) => a - b);

describe('remains', () => {
  it('are found as by brute force', async () => {
    const random = randomFrom(runSeed('remains'));
    const below = (limit: number): number => Math.floor(random() * limit);
    await inTemporaryFolder(async (path) => {
      const name = join(path, 'file');
      for (let round = 0; round < 24; round++) {
        const needles = Array.from({ length: 1 + below(4) }, () => bytesOf(1 + below(round % 2 ? 40 : 300), random));
        const file = bytesOf(3_000 + below(20), random);
        for (let i = 0; i < 8; i++) {
          const needle = needles[below(needles.length)] ?? file;
          const from = below(needle.length);
          needle.copy(file, below(file.length), from, from + 1 + below(needle.length));
          if (random() < 0.5) file[below(file.length)] = below(256);
        }
        const cuts = [0, ...Array.from({ length: 6 }, () => below(file.length)), file.length].toSorted((a, b) => a - b);
        const ranges = cuts.slice(1).flatMap((end, i) => (i % 3 === 2 ? [] : [{ start: cuts[i] ?? 0, end }]));
        await writeFile(name, file);
        const usable = needles.filter((needle) => needle.length >= remainBytesMin || needle.length > 3);
        assert.deepEqual(
          sorted(foundBytes(file, usable, findRemains(name, ranges, usable))),
          sorted(expectedBytes(file, ranges, usable)),
        );
        assert.deepEqual(
          sorted(foundBytes(file, usable, findAnywhere([name], usable))),
          sorted(expectedBytes(file, [{ start: 0, end: file.length }], usable)),
        );
      }
    });
  });

  it('are found once, whole, across the windows in which a large file is read', async () => {
    const random = randomFrom(runSeed('large remains'));
    await inTemporaryFolder(async (path) => {
      const name = join(path, 'file');
      const needles = [bytesOf(512, random), bytesOf(70_000, random), bytesOf(20, random)];
      const file = Buffer.alloc(5 << 20, 7);
      const places = [(1 << 20) - 200, (2 << 20) - 33_333, (3 << 20) - 10, 4 << 20, file.length - 512].map(
        (start, i) => ({
          start,
          needle: [0, 1, 2, 0, 0][i] ?? 0,
        }),
      );
      for (const { start, needle } of places) needles[needle]?.copy(file, start);
      await writeFile(name, file);
      assert.deepEqual(
        findAnywhere([name], needles)
          .toSorted((a, b) => a.start - b.start)
          .map(({ start, bytes, needle, needleStart }) => [start, bytes, needle, needleStart]),
        places.map(({ start, needle }) => [start, needles[needle]?.length, needle, 0]),
      );
    });
  });

  it('are not made of one repeated byte, and what lies beside such a run is found', async () => {
    const random = randomFrom(runSeed('runs'));
    await inTemporaryFolder(async (path) => {
      const name = join(path, 'file');
      const [head, tail] = [bytesOf(40, random), bytesOf(512, random)];
      const needle = Buffer.concat([head, Buffer.alloc(64), tail]);
      const file = Buffer.concat([Buffer.alloc(10_000), needle, Buffer.alloc(10_000)]);
      await writeFile(name, file);
      assert.deepEqual(findAnywhere([name], [needle]), [
        { file: name, start: 10_000, bytes: needle.length, needle: 0, needleStart: 0 },
      ]);
      await writeFile(name, Buffer.alloc(20_000));
      assert.deepEqual(findAnywhere([name], [needle]), []);
    });
  });
});
