/**
 * Token buckets, one a name. Names that have a full bucket again are forgotten, so that strangers do not fill the memory.
 */

export interface RateLimitOptions {
  readonly perSecond: number;
  /** Most that comes at once. */
  readonly burst: number;
  readonly clock: () => Date;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

/** So many buckets are looked through for full ones. */
const bucketsMax = 10_000;

export class RateLimit {
  readonly #options: RateLimitOptions;
  readonly #buckets = new Map<string, Bucket>();

  constructor(options: RateLimitOptions) {
    this.#options = options;
  }

  /** Whether there is one left for `name`; takes it. */
  take(name: string): boolean {
    const nowMs = this.#options.clock().getTime();
    const bucket = this.#buckets.get(name) ?? this.#open(name, nowMs);
    bucket.tokens = this.#filled(bucket, nowMs);
    bucket.atMs = nowMs;
    if (bucket.tokens < 1) return false;
    bucket.tokens--;
    return true;
  }

  #open(name: string, nowMs: number): Bucket {
    if (this.#buckets.size >= bucketsMax) this.#forget(nowMs);
    const bucket = { tokens: this.#options.burst, atMs: nowMs };
    this.#buckets.set(name, bucket);
    return bucket;
  }

  #filled({ tokens, atMs }: Bucket, nowMs: number): number {
    // A clock that was set back gives nothing.
    const seconds = Math.max(0, nowMs - atMs) / 1000;
    return Math.min(this.#options.burst, tokens + seconds * this.#options.perSecond);
  }

  /** The full ones; and when there are none, everything: whoever has so many addresses is not held up by a list of them. */
  #forget(nowMs: number): void {
    for (const [name, bucket] of this.#buckets) {
      if (this.#filled(bucket, nowMs) >= this.#options.burst) this.#buckets.delete(name);
    }
    if (this.#buckets.size >= bucketsMax) this.#buckets.clear();
  }
}
