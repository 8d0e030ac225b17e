/**
 * Pairs of clusters that may be merged, nearest first; equal distances by the first position, then by the second. Pure.
 *
 * A binary heap (Williams 1964) in three arrays side by side: millions of entries, and no object for each.
 */

export interface Merge {
  readonly distance: number;
  readonly a: number;
  readonly b: number;
}

export class MergeQueue {
  private readonly distances: number[] = [];
  private readonly firsts: number[] = [];
  private readonly seconds: number[] = [];

  push(distance: number, a: number, b: number): void {
    let place = this.distances.length;
    this.distances.push(distance);
    this.firsts.push(a);
    this.seconds.push(b);
    for (let parent = (place - 1) >> 1; place > 0 && this.isBefore(place, parent); parent = (place - 1) >> 1) {
      this.swap(place, parent);
      place = parent;
    }
  }

  pop(): Merge | undefined {
    const [distance, a, b] = [this.distances[0], this.firsts[0], this.seconds[0]];
    if (distance === undefined || a === undefined || b === undefined) return undefined;
    this.swap(0, this.distances.length - 1);
    this.distances.pop();
    this.firsts.pop();
    this.seconds.pop();
    for (let place = 0; ;) {
      const [left, right] = [2 * place + 1, 2 * place + 2];
      let least = place;
      if (left < this.distances.length && this.isBefore(left, least)) least = left;
      if (right < this.distances.length && this.isBefore(right, least)) least = right;
      if (least === place) return { distance, a, b };
      this.swap(place, least);
      place = least;
    }
  }

  private isBefore(i: number, j: number): boolean {
    const by = (column: readonly number[]): number => (column[i] as number) - (column[j] as number);
    return (by(this.distances) || by(this.firsts) || by(this.seconds)) < 0;
  }

  private swap(i: number, j: number): void {
    for (const column of [this.distances, this.firsts, this.seconds])
      [column[i], column[j]] = [column[j] as number, column[i] as number];
  }
}
