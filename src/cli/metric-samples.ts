/**
 * Metrics as a server tells them (Prometheus' text format), and what happened between two looks at them. Pure.
 */

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const samplePattern = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: \d+)?$/;
const labelPattern = /([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"/g;

/** Comments and what is no sample are passed over. */
export function parseSamples(text: string): readonly Sample[] {
  return text.split('\n').flatMap((line): Sample[] => {
    const [, name, labelText = '', value] = samplePattern.exec(line) ?? [];
    const number = value === '+Inf' ? Infinity : Number(value);
    if (name === undefined || Number.isNaN(number)) return [];
    const labels = Object.fromEntries(
      Array.from(labelText.matchAll(labelPattern), ([, label = '', quoted = '']) => [label, unescape(quoted)]),
    );
    return [{ name, labels, value: number }];
  });
}

function unescape(quoted: string): string {
  return quoted.replaceAll(/\\(.)/g, (_, letter: string) => (letter === 'n' ? '\n' : letter));
}

/** One look at a server. */
export class Look {
  readonly atMs: number;
  readonly #samples: readonly Sample[];

  constructor(text: string, atMs: number) {
    this.atMs = atMs;
    this.#samples = parseSamples(text);
  }

  /** The sum of all samples that have these labels; 0 without any. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    return this.#of(name, labels).reduce((total, { value }) => total + value, 0);
  }

  /** The first of them; null without any. */
  value(name: string, labels: Readonly<Record<string, string>> = {}): number | null {
    return this.#of(name, labels)[0]?.value ?? null;
  }

  /** The values that a label has, in the order in which they are told. */
  values(name: string, label: string): readonly string[] {
    return [...new Set(this.#of(name, {}).flatMap(({ labels }) => labels[label] ?? []))];
  }

  /** The labels of the first sample. */
  labels(name: string): Readonly<Record<string, string>> {
    return this.#of(name, {})[0]?.labels ?? {};
  }

  /** Upper bounds of a histogram's buckets with how many are at or below each, by bound. */
  buckets(
    name: string,
    labels: Readonly<Record<string, string>>,
  ): readonly (readonly [bound: number, count: number])[] {
    const counts = new Map<number, number>();
    for (const { labels: own, value } of this.#of(`${name}_bucket`, labels)) {
      const bound = own['le'] === '+Inf' ? Infinity : Number(own['le']);
      counts.set(bound, (counts.get(bound) ?? 0) + value);
    }
    return [...counts].toSorted(([a], [b]) => a - b);
  }

  #of(name: string, labels: Readonly<Record<string, string>>): readonly Sample[] {
    const wanted = Object.entries(labels);
    return this.#samples.filter(
      (sample) => sample.name === name && wanted.every(([label, value]) => sample.labels[label] === value),
    );
  }
}

/** What happened between two looks. A server that was started anew has counted from 0 again. */
export class Span {
  readonly #before: Look;
  readonly after: Look;

  constructor(before: Look, after: Look) {
    this.#before = before;
    this.after = after;
  }

  get seconds(): number {
    return Math.max(1e-3, (this.after.atMs - this.#before.atMs) / 1000);
  }

  /** Of a counter. */
  perSecond(name: string, labels: Readonly<Record<string, string>> = {}): number {
    return increase(this.#before.sum(name, labels), this.after.sum(name, labels)) / this.seconds;
  }

  /** Within which the given share of the observations of this span lay, by the bounds of the buckets, in between linearly; null without any. */
  quantile(name: string, labels: Readonly<Record<string, string>>, share: number): number | null {
    const before = new Map(this.#before.buckets(name, labels));
    const counts = this.after
      .buckets(name, labels)
      .map(([bound, count]) => [bound, increase(before.get(bound) ?? 0, count)] as const);
    const total = counts.at(-1)?.[1] ?? 0;
    if (total === 0) return null;
    const wanted = share * total;
    let [lower, below] = [0, 0];
    for (const [bound, count] of counts) {
      // Beyond the last bound nothing is known but that.
      if (bound === Infinity) return lower;
      if (count >= wanted) return lower + ((bound - lower) * (wanted - below)) / Math.max(1e-12, count - below);
      [lower, below] = [bound, count];
    }
    return lower;
  }
}

function increase(before: number, after: number): number {
  return after < before ? after : after - before;
}
