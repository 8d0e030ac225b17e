/** How much one client may ask for. */
import { z } from 'zod';
import { key, section } from '../key.js';

export const limitsSection = section(
  z.strictObject({
    messageBytesMax: key(
      z.int().min(65_536).max(1_073_741_824).default(33_554_432),
      'Largest message, both ways, bytes. Larger takes larger photos and batches, and more memory a call.',
    ),
    callsPerConnectionMax: key(
      z.int().min(1).max(100_000).default(1_000),
      'Calls at the same time on one connection. Larger lets one client queue more.',
    ),
    importConcurrency: key(
      z.int().min(1).max(256).default(16),
      'Enrolments that an import works on at the same time. Larger fills batches better and holds more images.',
    ),
  }),
  'How much one client may ask for.',
);
