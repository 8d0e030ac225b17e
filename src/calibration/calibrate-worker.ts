/**
 * The thread in which a gallery is compared with itself: minutes of arithmetic that nobody should wait behind. An entry point; answers once and ends.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { asHarmonidError, assertInvariant } from '../errors.js';
import { calibrated } from '../index/lanes.js';
import { makeRandom } from '../random.js';
import { freezeError } from '../threads/frozen-error.js';
import { standBehind } from '../threads/thread-priority.js';
import { unhurried } from '../threads/unhurried.js';
import { templateOrigins, type CalibrateReply, type CalibrateTask } from './calibrate-messages.js';
import { fitGallery, type GalleryFit } from './gallery-fit.js';

assertInvariant(parentPort, 'the calibrating worker runs in a thread');
const port = parentPort;
const reply = (message: CalibrateReply): void => port.postMessage(message);

async function fit({ templates, origins, knots, given, comparisonsMax, seed }: CalibrateTask): Promise<GalleryFit> {
  const pieces = fitGallery(templates, {
    given,
    comparisonsMax,
    random: makeRandom(seed),
    worth: (row, distance) => calibrated(knots, templateOrigins[origins[row] as number] ?? 'native', distance),
  });
  for (;;) {
    const { done, value } = await unhurried(() => pieces.next());
    if (done) return value;
    reply({ kind: 'progress', share: value });
  }
}

reply({ kind: 'started' });
standBehind(15);
fit(workerData as CalibrateTask).then(
  (answer) => reply({ kind: 'fitted', fit: answer }),
  (error: unknown) => reply({ kind: 'failed', error: freezeError(asHarmonidError(error)) }),
);
