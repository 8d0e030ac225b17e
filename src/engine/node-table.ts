/**
 * The node of each label: in pages of labels that follow one another, because labels are counted upwards. A page without labels is given back.
 */
const bits = 10;
const perPage = 1 << bits;

interface Page {
  /** Node + 1, or 0. */
  readonly nodes: Uint32Array;
  count: number;
}

export class NodeTable {
  readonly #pages = new Map<number, Page>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  get(label: number): number | undefined {
    const node = this.#pages.get(label >>> bits)?.nodes[label & (perPage - 1)];
    return node === undefined || node === 0 ? undefined : node - 1;
  }

  /** @param label that is not there */
  set(label: number, node: number): void {
    const number = label >>> bits;
    let page = this.#pages.get(number);
    if (!page) this.#pages.set(number, (page = { nodes: new Uint32Array(perPage), count: 0 }));
    page.nodes[label & (perPage - 1)] = node + 1;
    page.count++;
    this.#count++;
  }

  /** @param label that is there */
  delete(label: number): void {
    const number = label >>> bits;
    const page = this.#pages.get(number);
    if (!page) return;
    page.nodes[label & (perPage - 1)] = 0;
    this.#count--;
    if (--page.count === 0) this.#pages.delete(number);
  }

  /** Labels. Live: what is removed before its turn does not come. */
  *labels(): Generator<number, void, undefined> {
    for (const [number, { nodes }] of this.#pages)
      for (let i = 0; i < perPage; i++) if (nodes[i] !== 0) yield number * perPage + i;
  }
}
