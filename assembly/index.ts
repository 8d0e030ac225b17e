/** What the host may call, and where it finds things. */
export {
  attach,
  beginEpoch,
  beginReading,
  CAPACITY,
  CODES,
  copyList,
  DIMENSIONS,
  endReading,
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
  releaseList,
  REMOVED,
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
export { answers, scratchBytes, useScratch, vectorOf, WIDTH_MAX } from './scratch';
export { comparedCount, followedCount, restrict, touchedSum } from './walk';
export { link } from './build';
export { search, scan } from './search';
export { mend, wipe } from './mend';
