/** What the threads of the engine's stress test share: vectors that follow from their labels, so that every answer can be judged anywhere. */
import { makeRandom } from '../../src/random.js';
import { parseVector, type UnitVector } from '../../src/vector.js';

export interface StressData {
  readonly memory: WebAssembly.Memory;
  /** Number of the reader. */
  readonly reader: number;
  /** Stop; labels below the second are removed (told before it is done), below the third added (told after), below the fourth begun (told before). */
  readonly state: Int32Array;
  readonly dimensions: number;
}

export interface StressFindings {
  readonly searches: number;
  readonly hits: number;
  readonly wrong: readonly string[];
}

export function stressVector(label: number, dimensions: number): UnitVector {
  const random = makeRandom(label + 1);
  return parseVector(
    Array.from({ length: dimensions }, () => random.normal()),
    dimensions,
    'the test',
  );
}
