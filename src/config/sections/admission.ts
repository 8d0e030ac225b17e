/** How much is worked on at a time, and how much may wait. */
import { z } from 'zod';
import { defaultAdmissionLimits, type LaneName } from '../../admission.js';
import { key, section } from '../key.js';

function lane(name: LaneName, of: string): z.ZodPrefault<ReturnType<typeof limits>> {
  return section(limits(name), `${of}.`);
}

function limits(name: LaneName) {
  const { runningMax, waitingMax } = defaultAdmissionLimits[name];
  return z.strictObject({
    runningMax: key(
      z.int().min(1).max(65_536).default(runningMax),
      'Worked on at a time. Larger fills batches better and lets later ones that are more urgent wait longer.',
    ),
    waitingMax: key(
      z.int().min(0).max(1_000_000).default(waitingMax),
      'Waiting at a time; more are refused with OVERLOADED at once. Larger bears longer bursts and holds them in memory.',
    ),
  });
}

export const admissionSection = section(
  z.strictObject({
    image: lane('image', 'Images that are decoded and embedded'),
    search: lane('search', 'Searches'),
    write: lane('write', 'Enrolments'),
  }),
  'How much is worked on at a time, and how much may wait. What would be done after its deadline is refused at once; people at doors go before imports.',
);
