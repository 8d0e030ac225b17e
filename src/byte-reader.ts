/**
 * Exact amounts out of a stream of bytes that comes in pieces of any size.
 *
 * Promises: no byte is lost, added or read twice; no more is taken from the source than the next piece that is needed; what is not
 * yet handed out is held once. A source that throws throws here.
 */
export class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #pieces: Buffer[] = [];
  #held = 0;
  #position = 0;
  #ended = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Bytes handed out so far: where the next one stands in the stream. */
  get position(): number {
    return this.#position;
  }

  /** The next `count` bytes; fewer only when the stream ends before. */
  async read(count: number): Promise<Buffer> {
    const bytes = (await this.peek(count)).subarray(0, count);
    this.#position += bytes.length;
    this.#held -= bytes.length;
    const piece = this.#pieces.shift();
    if (piece && piece.length > bytes.length) this.#pieces.unshift(piece.subarray(bytes.length));
    return bytes;
  }

  /** As `read`, but the bytes stay. It may give more than `count`. */
  async peek(count: number): Promise<Buffer> {
    while (this.#held < count && !this.#ended) {
      const next = await this.#source.next();
      if (next.done) this.#ended = true;
      else if (next.value.length > 0) {
        const { buffer, byteOffset, length } = next.value;
        this.#pieces.push(Buffer.from(buffer, byteOffset, length));
        this.#held += length;
      }
    }
    if ((this.#pieces[0]?.length ?? 0) < count && this.#pieces.length > 1) this.#pieces = [Buffer.concat(this.#pieces)];
    return this.#pieces[0] ?? Buffer.alloc(0);
  }

  /** Tells the source that nothing more is wanted. */
  async close(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#source.return?.();
  }
}
