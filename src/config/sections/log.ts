/** What is logged, and in which form. */
import { z } from 'zod';
import { key, section } from '../key.js';

export const logLevels = ['debug', 'info', 'warn', 'error'] as const;

export const logSection = section(
  z.strictObject({
    level: key(z.enum(logLevels).default('info'), 'The least that is logged. A lower one tells more and writes more.', {
      flag: '--log-level',
    }),
    format: key(
      z.enum(['auto', 'json', 'plain']).default('auto'),
      'JSON lines for machines or plain lines for people; `auto` is plain at a terminal and JSON otherwise.',
      { flag: '--log' },
    ),
  }),
  'The log, on the standard output.',
);
