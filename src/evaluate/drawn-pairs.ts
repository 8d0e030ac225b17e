/**
 * Pairs for verification out of a folder of people, where no list of pairs is given: folds of different people, as many impostor pairs as genuine ones, as on LFW.
 *
 * Promises: a person is in one fold only; no pair is there twice; the same photos and seed give the same pairs, in whatever order a folder was listed. Genuine pairs
 * are drawn by person first and then by photo, so that nobody with many photos is most of them; impostor pairs by two people of a fold, and a photo of each.
 */
import { HarmonidError } from '../errors.js';
import { makeRandom, shuffled, type Random } from '../random.js';
import { photoName, photosByPerson, type PersonPhoto } from './person-photos.js';
import type { Pair, PairList, PhotoName } from './pairs.js';

export interface DrawnPairsOptions {
  /** Default 10, or half of the people with two photos where there are fewer. */
  readonly folds?: number | undefined;
  /** Of either kind; where there are fewer, as many as the poorest fold has. Default 300, LFW's. */
  readonly pairsPerFoldMax?: number | undefined;
  /** Default 1. */
  readonly seed?: number | undefined;
}

/** @throws INVALID_ARGUMENT for fewer than four people with two photos: each of two folds needs a genuine and an impostor pair */
export function drawPairs(photos: readonly PersonPhoto[], options: DrawnPairsOptions = {}): PairList {
  const { pairsPerFoldMax = 300, seed = 1 } = options;
  const random = makeRandom(seed);
  const people = photosByPerson(photos);
  const several = people.filter((own) => own.length > 1);
  if (several.length < 4)
    throw new HarmonidError(
      'INVALID_ARGUMENT',
      `${several.length} people have two photos; pairs can be drawn from four of them or more`,
      { details: { people: people.length, withTwoPhotos: several.length } },
    );
  const foldCount = Math.min(options.folds ?? 10, several.length >> 1);
  // Those with several photos are dealt first, so that every fold has its share of them.
  const dealt = [
    ...shuffled(several, random),
    ...shuffled(
      people.filter((own) => own.length === 1),
      random,
    ),
  ];
  const folds = Array.from({ length: foldCount }, (_, fold) => dealt.filter((__, i) => i % foldCount === fold));
  const pairsPerFold = Math.min(pairsPerFoldMax, ...folds.map(genuineCount), ...folds.map(impostorCount));
  return {
    folds: folds.map((own) => [...drawGenuine(own, pairsPerFold, random), ...drawImpostor(own, pairsPerFold, random)]),
    pairsPerFold,
  };
}

type Person = readonly PersonPhoto[];

function genuineCount(people: readonly Person[]): number {
  return people.reduce((sum, { length }) => sum + (length * (length - 1)) / 2, 0);
}

function impostorCount(people: readonly Person[]): number {
  const all = people.reduce((sum, { length }) => sum + length, 0);
  return people.reduce((sum, { length }) => sum + (length * (all - length)) / 2, 0);
}

/** In rounds: a pair of each person, then another of each who has one left. */
function drawGenuine(people: readonly Person[], count: number, random: Random): readonly Pair[] {
  const left = people.map((own) => {
    const names = own.map(photoName);
    return [
      ...shuffled(
        names.flatMap((a, i) => names.slice(i + 1).map((b): Pair => ({ a, b, genuine: true }))),
        random,
      ),
    ];
  });
  const drawn: Pair[] = [];
  while (drawn.length < count)
    for (const pairs of left) {
      const pair = pairs.pop();
      if (pair && drawn.length < count) drawn.push(pair);
    }
  return drawn;
}

function impostorPair(people: readonly Person[], random: Random): readonly [PhotoName, PhotoName] {
  const one = random.below(people.length);
  const other = (one + 1 + random.below(people.length - 1)) % people.length;
  const photoOf = (at: number): PhotoName => {
    const own = people[at] as Person;
    return photoName(own[random.below(own.length)] as PersonPhoto);
  };
  const names = [photoOf(one), photoOf(other)] as const;
  return names[0] < names[1] ? names : [names[1], names[0]];
}

/** Draws until there are so many that differ; there are as many. */
function drawImpostor(people: readonly Person[], count: number, random: Random): readonly Pair[] {
  const drawn = new Map<string, Pair>();
  while (drawn.size < count) {
    const [a, b] = impostorPair(people, random);
    drawn.set(`${a}\0${b}`, { a, b, genuine: false });
  }
  return [...drawn.values()];
}
