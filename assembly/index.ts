/** What the host may call, and where it finds things. */
export {
  attach,
  beginEpoch,
  CAPACITY,
  CODES,
  DIMENSIONS,
  EPOCH,
  FINE_HEAD,
  FINES,
  FREE,
  isQuiet,
  LABELS,
  LEVELS,
  LINK_LISTS,
  LINKS,
  OWNERS,
  QUANTISER,
  READERS_MAX,
  SEGMENT_BITS,
  SEGMENTS_MAX,
  setTop,
  STEP,
  top,
  UPPER_LINKS,
  UPPERS,
} from './memory';
export { encode } from './distance';
export { answers, scratchBytes, useScratch, vectorOf, WIDTH_MAX } from './scratch';
export { comparedCount, followedCount, restrict, touchedSum } from './walk';
export { link } from './build';
export { search, scan } from './search';
export { mend, wipe } from './mend';
