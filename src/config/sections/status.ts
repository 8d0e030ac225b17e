/** What machines that watch the server ask over HTTP. */
import { z } from 'zod';
import { key, section } from '../key.js';
import { addressText, addressWanted } from './server.js';

export const statusSection = section(
  z.strictObject({
    listen: key(
      addressText.optional(),
      'Where Prometheus finds /metrics and an orchestrator /livez and /readyz, over HTTP. It tells names of galleries and no people, and has no keys: give it an address that only they reach.',
      { wanted: addressWanted, unset: 'no status server', flag: '--status' },
    ),
  }),
  'Metrics and health over HTTP.',
);
