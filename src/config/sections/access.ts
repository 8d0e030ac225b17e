/** Who may come in. */
import { z } from 'zod';
import { key, section, text } from '../key.js';

export const accessSection = section(
  z.strictObject({
    file: key(
      text.optional(),
      'The list of keys and certificates that `harmonid keys` makes. With it nobody comes in who is not on it. Followed while the server runs.',
      {
        isPath: true,
        unset: 'access.json in the data directory when it is there, else everybody may do everything',
        flag: '--access',
      },
    ),
    allowAnonymous: key(
      z.boolean().default(false),
      'Listens without a list where others reach the server: whoever does may enroll, read, export and erase people.',
      { flag: '--insecure-anonymous' },
    ),
  }),
  'Who may call, and what each may do.',
);
