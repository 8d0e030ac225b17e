/** An engine with those who write and read it in the graph's thread, and the quantiser that was learned for it. */
import { EngineMemory } from '../engine/engine-memory.js';
import { EngineReader } from '../engine/engine-reader.js';
import { EngineWriter } from '../engine/engine-writer.js';
import { codeError, learnQuantiser, type Quantiser } from '../engine/quantiser.js';
import { readerNumber, writerNumber } from './engine-readers.js';
import type { TemplateSource } from './template-source.js';

export interface BuiltEngine {
  readonly engine: EngineMemory;
  readonly writer: EngineWriter;
  readonly reader: EngineReader;
  readonly quantiser: Quantiser;
  readonly quantiserVersion: number;
  /** Templates that there were when its quantiser was learned, or was last found to be good. */
  learnedFrom: number;
}

/** How much smaller the squared error of another quantiser must be to take the place of the one that there is. */
const betterErrorMax = 0.8;

/** @param sample shape [templates x dimensions] @throws LIMIT_EXCEEDED, or whatever the system says, when there is no room */
export function makeEngine(
  sample: Float32Array,
  {
    dimensions,
    withFines,
    quantiserVersion,
  }: { readonly dimensions: number; readonly withFines: boolean; readonly quantiserVersion: number },
): BuiltEngine {
  const quantiser = learnQuantiser(sample, dimensions);
  return attachTo(EngineMemory.create({ dimensions, quantiser, withFines }), {
    quantiser,
    quantiserVersion,
    learnedFrom: sample.length / dimensions,
  });
}

export function attachTo(
  engine: EngineMemory,
  learned: Pick<BuiltEngine, 'quantiser' | 'quantiserVersion' | 'learnedFrom'>,
): BuiltEngine {
  const [writer, reader] = [new EngineWriter(engine, writerNumber), new EngineReader(engine, readerNumber)];
  return { engine, writer, reader, ...learned };
}

/** Exact vectors of some `count` templates, spread over all of them. */
export function drawSample(
  writer: EngineWriter,
  source: TemplateSource,
  { count, dimensions }: { readonly count: number; readonly dimensions: number },
): Float32Array {
  const step = Math.max(1, Math.floor(writer.count / count));
  const rows: Float32Array[] = [];
  let place = 0;
  source.reading((vectorOf) => {
    for (const label of writer.labels()) {
      if (place++ % step !== 0) continue;
      const owner = writer.ownerOf(label);
      const vector = owner === undefined ? undefined : vectorOf(owner, label);
      if (vector) rows.push(vector);
    }
  });
  const sample = new Float32Array(rows.length * dimensions);
  rows.forEach((row, i) => sample.set(row, i * dimensions));
  return sample;
}

/** What a quantiser that is learned anew would do so much better by these templates; null where it would not. @param sample shape [templates x dimensions] */
export function outdone(
  quantiser: Quantiser,
  sample: Float32Array,
  dimensions: number,
): { readonly squaredError: number; readonly squaredErrorAnew: number } | null {
  if (sample.length === 0) return null;
  const squaredErrorAnew = codeError(sample, learnQuantiser(sample, dimensions), dimensions);
  const squaredError = codeError(sample, quantiser, dimensions);
  return squaredErrorAnew < betterErrorMax * squaredError ? { squaredError, squaredErrorAnew } : null;
}
