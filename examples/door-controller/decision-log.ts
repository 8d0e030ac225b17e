/**
 * What a door decided, one line of JSON a decision, in a file that only grows; and who is inside, which follows from it.
 *
 * Promises: a line is on the disk when `append` returns. Opening reads what is there, so that a controller that starts again knows who is inside. A last line
 * that was cut short by a crash is removed: what it was about has not happened. One process writes a file.
 */
import { open, type FileHandle } from 'node:fs/promises';
import { insideAfter, type Direction, type Verdict } from './rules.js';

export interface DecisionLine {
  readonly at: string;
  readonly door: string;
  readonly direction: Direction;
  /** Null for a stranger. */
  readonly identity: string | null;
  /** `not-opened`: the line before said that it would open, and the relay failed. */
  readonly verdict: Verdict | 'not-opened';
  /** The frame that decided. */
  readonly sequence: number;
  /** Of that frame: so many strangers are as near to somebody, 0 to 1; absent where the gallery is not calibrated. */
  readonly fpir?: number;
  readonly reason?: string;
}

export class DecisionLog {
  readonly #file: FileHandle;
  #size: number;
  #inside: ReadonlySet<string> = new Set();
  /** Whether somebody was inside before the last passage. */
  readonly #insideBefore = new Map<string, boolean>();

  private constructor(file: FileHandle, lines: readonly DecisionLine[], size: number) {
    this.#file = file;
    this.#size = size;
    for (const line of lines) this.#follow(line);
  }

  static async open(path: string): Promise<DecisionLog> {
    const file = await open(path, 'a+', 0o600);
    const text = await file.readFile('utf8');
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    const size = Buffer.byteLength(whole);
    await file.truncate(size);
    return new DecisionLog(file, parseLines(whole), size);
  }

  /** Who went in and has not come out. */
  get inside(): ReadonlySet<string> {
    return this.#inside;
  }

  async append(line: DecisionLine): Promise<void> {
    const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
    try {
      await this.#file.writeFile(bytes);
      await this.#file.datasync();
    } catch (error) {
      // Half a line would take the next one with it.
      await this.#file.truncate(this.#size);
      throw error;
    }
    this.#size += bytes.length;
    this.#follow(line);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  #follow({ identity, direction, verdict }: DecisionLine): void {
    if (identity === null) return;
    if (verdict === 'opened') {
      this.#insideBefore.set(identity, this.#inside.has(identity));
      this.#inside = insideAfter(this.#inside, identity, direction);
    }
    if (verdict === 'not-opened') {
      const wasInside = this.#insideBefore.get(identity) ?? false;
      this.#inside = insideAfter(this.#inside, identity, wasInside ? 'in' : 'out');
    }
  }
}

export function parseLines(text: string): DecisionLine[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as DecisionLine);
}

/** For people: `opened, FPIR 0.002`. */
export function verdictText({ verdict, fpir }: Pick<DecisionLine, 'verdict' | 'fpir'>): string {
  return fpir === undefined ? verdict : `${verdict}, FPIR ${Number(fpir.toPrecision(1))}`;
}
