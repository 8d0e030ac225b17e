/**
 * Who is enrolled under two names: pairs of identities that are nearer than strangers would be.
 *
 * One such pair among a thousand people is a hundredth of the comparisons on which an FPIR of 1 % rests, so a threshold that does not know of it is far too strict. The nearest of
 * the probes are doubted: the tail is fitted to the others, which say where the nearest strangers end. A pair is taken to be one person when that is ten times as likely
 * as strangers so near: of so many people one is enrolled twice, and then mostly as far as two templates of one person are, or nearer. Nearer than nearly all of those is one person in any case: no tail speaks of distances near 0. Twins and doubles are strangers, and mostly stay. Pure.
 */
import { closestPairs, nearestDistances, type ClosePair, type ImpostorSample } from './impostor-sample.js';
import { fitTail, shareWithin } from './impostor-tail.js';

const doubtedShare = 0.02;
/** Before anything is compared: among so many people there is one under two names. */
const peopleOfOneTwice = 1000;
const oddsMin = 10;
/** With fewer people of two templates nobody knows how near one person's are; then strangers so near must be a wonder. */
const matedMin = 20;
const wonder = 0.01;
/** Two templates of one person are hardly ever nearer than this share of them. */
const nearestShare = 0.01;
/** The same photo, whoever it is. */
const samePhoto = 1e-4;

/** Nearest first. */
export function findSamePeople(sample: ImpostorSample): readonly ClosePair[] {
  const { identityCount, mated } = sample;
  const nearest = nearestDistances(sample);
  const tail = fitTail(nearest, Math.ceil(doubtedShare * nearest.length));
  if (!tail) return [];
  return closestPairs(sample).filter(({ distance }) => {
    if (distance >= tail.start) return false;
    // Both of a pair have each other near.
    const strangers = (identityCount / 2) * shareWithin(tail, distance);
    if (mated.length < matedMin) return distance <= samePhoto || strangers < wonder;
    if (distance <= (mated[Math.floor(nearestShare * mated.length)] as number)) return true;
    const asFar = mated.filter((own) => own >= distance).length / mated.length;
    return (identityCount / peopleOfOneTwice) * asFar > oddsMin * strangers;
  });
}
