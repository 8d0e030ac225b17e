/** What the host may call, and where it finds things. */
export {
  attach,
  beginEpoch,
  beginReading,
  CAPACITY,
  CODE_ERROR,
  CODES,
  copyList,
  DIMENSIONS,
  endReading,
  EPOCH,
  FINE_ERROR,
  FINE_HEAD,
  FINES,
  FREE,
  HAS_FINES,
  isQuiet,
  LABELS,
  LEVELS,
  LINK_LISTS,
  LINKED,
  LINKS,
  NEXT,
  OWNERS,
  QUANTISER,
  READERS_MAX,
  recover,
  releaseList,
  REMOVED,
  RING,
  RING_HEAD,
  RING_TAIL,
  SCRATCHES,
  SEGMENT_BITS,
  SEGMENTS_MAX,
  setTop,
  STEP,
  takeList,
  top,
  UPPER_LINKS,
  UPPERS,
} from './memory';
export { encode } from './distance';
export { answers, scratchBytes, useMarks, useScratch, vectorOf, WIDTH_MAX } from './scratch';
export { comparedCount, followedCount, restrict, touchedSum } from './walk';
export { link } from './build';
export { answeredCount, ask, find, refine, scan } from './search';
export { mend, wipe } from './mend';
