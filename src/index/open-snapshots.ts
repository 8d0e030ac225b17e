/**
 * The snapshots of a store that are open, so that what must wait for them can.
 */
import type { StoreSnapshot } from './store.js';

export class OpenSnapshots {
  readonly #open = new Map<StoreSnapshot, { readonly released: Promise<void> }>();

  /** The snapshot, known until it is released; releasing it twice does nothing more. */
  track(snapshot: StoreSnapshot): StoreSnapshot {
    let settle: () => void = () => undefined;
    const released = new Promise<void>((resolve) => {
      settle = resolve;
    });
    const tracked: StoreSnapshot = {
      ...snapshot,
      release: () => {
        if (!this.#open.delete(tracked)) return;
        snapshot.release();
        settle();
      },
    };
    this.#open.set(tracked, { released });
    return tracked;
  }

  get count(): number {
    return this.#open.size;
  }

  /** Resolves when every snapshot that is open now is released. */
  async released(): Promise<void> {
    await Promise.all(Array.from(this.#open.values(), ({ released }) => released));
  }
}
