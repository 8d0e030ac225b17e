/**
 * Embedders by the space in which they embed: the one that the database was opened with, and others of its model packs, opened when they are wanted.
 *
 * A gallery that moves to another model wants both; one that has moved wants the new one. A pack that cannot be opened is an error to whoever
 * wants it, and is tried again the next time.
 */
import { HarmonidError } from '../errors.js';
import type { Embedder } from './embedder.js';

export class EmbedderSet {
  /** Null when the database was opened without one. */
  readonly main: Embedder | null;
  readonly #openPack: ((pack: string) => Promise<Embedder>) | null;
  /** By pack. */
  readonly #opened = new Map<string, Promise<Embedder>>();

  /** @param openPack null when there are no packs to open */
  constructor(main: Embedder | null, openPack: ((pack: string) => Promise<Embedder>) | null) {
    this.main = main;
    this.#openPack = openPack;
  }

  /** Whether images can be embedded at all. */
  get hasAny(): boolean {
    return this.main !== null;
  }

  /** Null when none of its packs embeds in that space. @throws PROVIDER_UNAVAILABLE, MODEL_INVALID */
  async inSpace(space: string): Promise<Embedder | null> {
    if (this.main?.info.space === space) return this.main;
    if (!this.hasAny || !this.#openPack) return null;
    const [pack = ''] = space.split(':');
    try {
      const embedder = await this.ofPack(pack);
      return embedder.info.space === space ? embedder : null;
    } catch (error) {
      if (error instanceof HarmonidError && error.code === 'MODEL_NOT_FOUND') return null;
      throw error;
    }
  }

  /** @throws MODEL_NOT_FOUND, MODEL_INVALID, PROVIDER_UNAVAILABLE, EMBEDDER_MISSING */
  async ofPack(pack: string): Promise<Embedder> {
    if (this.main?.info.pack === pack) return this.main;
    if (!this.hasAny || !this.#openPack) {
      throw new HarmonidError(
        'EMBEDDER_MISSING',
        `model pack "${pack}" is wanted, but the database has no model packs`,
        {
          details: { pack },
        },
      );
    }
    const opened = this.#opened.get(pack) ?? this.#openPack(pack);
    this.#opened.set(pack, opened);
    try {
      return await opened;
    } catch (error) {
      this.#opened.delete(pack);
      throw error;
    }
  }

  async close(): Promise<void> {
    const others = await Promise.allSettled(this.#opened.values());
    this.#opened.clear();
    for (const other of others) if (other.status === 'fulfilled') await other.value.close();
    await this.main?.close();
  }
}
