/** A thread that searches a shared engine for as long as it is let, and judges every answer. */
import { parentPort, workerData } from 'node:worker_threads';
import { EngineMemory } from '../../src/engine/engine-memory.js';
import { EngineReader } from '../../src/engine/engine-reader.js';
import { squaredDistance } from '../../src/vector.js';
import { stressVector, type StressData, type StressFindings } from './stress-data.js';

const { memory, reader, state, dimensions } = workerData as StressData;
const engine = new EngineReader(EngineMemory.open(memory), reader);
const findings: { searches: number; hits: number; wrong: string[] } = { searches: 0, hits: 0, wrong: [] };

/** The words of `state`: stop, labels that were removed (all below it), labels that were added (all below it). */
while (Atomics.load(state, 0) === 0) {
  const removed = Atomics.load(state, 1);
  const added = Atomics.load(state, 2);
  const wanted = removed + ((findings.searches * 7919 + reader * 31) % Math.max(1, added - removed));
  const vector = stressVector(wanted, dimensions);
  const isScan = findings.searches % 16 === 0;
  const hits = isScan
    ? engine.scan({ vector, k: 8 }).toSorted((one, other) => one.distance - other.distance)
    : engine.search({ vector, wanted: 8, width: 48 });
  const addedAfter = Atomics.load(state, 3);
  findings.searches++;
  findings.hits += hits.length;
  for (const { label, owner, distance } of hits) {
    const expected = squaredDistance(vector, stressVector(label, dimensions));
    const isTorn = owner !== label * 3 || Math.abs(distance - expected) > 1e-4;
    if (isTorn) findings.wrong.push(`label ${label}: owner ${owner}, distance ${distance} where it is ${expected}`);
    if (label < removed) findings.wrong.push(`label ${label} was removed before ${removed}`);
    if (label >= addedAfter) findings.wrong.push(`label ${label} was not there before ${addedAfter}`);
  }
  // Who was there before the search began, and still is, is found by a scan.
  if (isScan && hits[0]?.label !== wanted && Atomics.load(state, 1) <= wanted)
    findings.wrong.push(`a scan for ${wanted} found ${hits[0]?.label} first`);
  if (findings.wrong.length > 20) break;
}
parentPort?.postMessage(findings satisfies StressFindings);
