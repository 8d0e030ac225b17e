/**
 * Places in a file that is written to while an older content of it must stay: what is in use, and the gaps in between. Pure.
 */

export interface Extent {
  readonly at: number;
  readonly bytes: number;
}

export class FileSpace {
  readonly #gaps: { at: number; bytes: number }[];
  #end: number;

  constructor(used: Iterable<Extent>) {
    const { gaps, end } = gapsBetween(used);
    this.#gaps = gaps.map((gap) => ({ ...gap }));
    this.#end = end;
  }

  /** A place of its own: the first gap that is large enough, or behind everything. */
  take(bytes: number): number {
    const place = this.#gaps.findIndex((gap) => gap.bytes >= bytes);
    const gap = this.#gaps[place];
    if (!gap) {
      const at = this.#end;
      this.#end += bytes;
      return at;
    }
    const { at } = gap;
    gap.at += bytes;
    gap.bytes -= bytes;
    if (gap.bytes === 0) this.#gaps.splice(place, 1);
    return at;
  }
}

/** What nobody uses before the end of what is used. @param used without overlaps */
export function gapsBetween(used: Iterable<Extent>): { readonly gaps: readonly Extent[]; readonly end: number } {
  const gaps: Extent[] = [];
  let end = 0;
  for (const { at, bytes } of Array.from(used).toSorted((one, other) => one.at - other.at)) {
    if (at > end) gaps.push({ at: end, bytes: at - end });
    end = Math.max(end, at + bytes);
  }
  return { gaps, end };
}
