/**
 * Who is enrolled and who is searched for in an open-set evaluation, drawn from labelled photos. Pure: the same photos and seed give the same sets.
 *
 * An enrolled person has one template; the other photos of that person are mated searches. Everybody else is never enrolled, and all
 * photos of theirs are non-mated searches. Galleries of several sizes are nested and are asked the same searches, those of the smallest, so that what
 * changes between them is the gallery alone.
 */
import { HarmonidError } from '../errors.js';
import { shuffled, type Random } from '../random.js';
import { photosByPerson, type PersonPhoto } from './person-photos.js';

export interface OpenSetDraw {
  /** In the order of enrolment: a gallery of n people has the first n. */
  readonly enrolled: readonly PersonPhoto[];
  /** Of people in the smallest gallery. */
  readonly mated: readonly PersonPhoto[];
  /** Of people in none. */
  readonly nonMated: readonly PersonPhoto[];
}

/**
 * @param sizes people enrolled, ascending
 * @throws INVALID_ARGUMENT when nobody is left to search for
 */
export function drawOpenSet(photos: readonly PersonPhoto[], sizes: readonly number[], random: Random): OpenSetDraw {
  const people = photosByPerson(photos);
  const [smallest = 0, largest = 0] = [sizes[0], sizes.at(-1)];
  if (largest >= people.length || smallest < 1)
    throw new HarmonidError(
      'INVALID_ARGUMENT',
      `there are photos of ${people.length} people, of whom ${sizes.join(', ')} would be enrolled: at least one must be, and one must not`,
      { details: { people: people.length, sizes } },
    );
  const order = shuffled(people, random);
  const enrolled: PersonPhoto[] = [];
  const mated: PersonPhoto[] = [];
  for (const own of order.slice(0, largest)) {
    const chosen = own[random.below(own.length)] as PersonPhoto;
    if (enrolled.length < smallest) mated.push(...own.filter((photo) => photo !== chosen));
    enrolled.push(chosen);
  }
  if (mated.length === 0)
    throw new HarmonidError(
      'INVALID_ARGUMENT',
      `none of the ${smallest} people drawn for the gallery has a second photo to search with`,
    );
  return { enrolled, mated, nonMated: order.slice(largest).flat() };
}
