/** Readers' numbers of an engine: who has which. */

/** The thread that writes, as a writer and as a reader. */
export const [writerNumber, readerNumber] = [0, 1];
/** Of threads that link, from here on: one to a core. They scale (16 cores: 13 times one; bench/README.md). */
export const firstLinker = 2;
export const linkersMax = 32;
/** Of threads that only search, from here on. */
export const firstSearcher = firstLinker + linkersMax;
export const searchersMax = 16;
