/**
 * Short garbage collections for a process that serves: both generations stay small.
 *
 * V8 lets the young one grow to 16 MiB when much is allocated, as by a busy gRPC server; a collection then copies all that is alive in it at
 * once, 10 to 25 ms where the cores are busy with inference. Kept at its first size, 1 MiB, collections are more frequent
 * and a few milliseconds long. What they promote too early the old generation has to lose: V8 lets that grow to three times of what is alive,
 * and its collection then ends with 24 to 36 ms of clearing and sweeping; kept within 1.4 times, with less than 10. Called at the
 * start of a process, before anything has grown.
 */
import { setFlagsFromString } from 'node:v8';

export function keepPausesShort(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--heap-growing-percent=40');
}
