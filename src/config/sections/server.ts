/** The keys of the server itself, which stand in no section. */
import { z } from 'zod';
import { isHarmonidError } from '../../errors.js';
import { parseAddress } from '../../server/address.js';
import { key, text } from '../key.js';

/** `host:port`, as the server takes it. */
export const addressText = z.string().refine(isAddress);
export const addressWanted = 'host:port, as in 0.0.0.0:50051 or [::1]:50051';

function isAddress(value: string): boolean {
  try {
    return parseAddress(value).port >= 0;
  } catch (error) {
    if (isHarmonidError(error)) return false;
    throw error;
  }
}

export const serverKeys = {
  data: key(text.default('./data'), 'The data directory; made when there is none.', { isPath: true, flag: '--data' }),
  listen: key(
    addressText.default('127.0.0.1:50051'),
    'Where to listen; port 0 takes a free one. An address that others can reach opens the server to them.',
    { wanted: addressWanted, flag: '--listen' },
  ),
  drainSeconds: key(
    z.int().min(0).max(86_400).default(10),
    'How long calls in work may take when the server stops, seconds. Larger loses fewer answers and makes a restart wait for the slowest call.',
    { flag: '--drain' },
  ),
  vectorsOnly: key(
    z.boolean().default(false),
    'Loads no model: only vectors are taken, images are refused. Starts faster and saves the memory of the networks.',
    { flag: '--vectors-only' },
  ),
  durability: key(
    z.enum(['flushed', 'committed']).default('flushed'),
    'When a write is acknowledged: `flushed` survives a power loss, `committed` only the death of the process, and is quicker.',
  ),
};
