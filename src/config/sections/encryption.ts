/** The master key of an encrypted data directory. */
import { z } from 'zod';
import { key, section, text } from '../key.js';

export const encryptionSection = section(
  z.strictObject({
    keyFile: key(
      text.optional(),
      'File with the master key of an encrypted data directory. A directory that is made with one is encrypted.',
      { isPath: true, unset: 'no encryption', flag: '--key-file', variable: 'HARMONID_KEY_FILE' },
    ),
    key: key(
      text.optional(),
      'The master key itself, in hexadecimal or base64. It counts where no key file is set. Whoever reads what it is set in has the key: a file of its own is better guarded.',
      { isSecret: true, unset: 'no encryption', flag: '--master-key', variable: 'HARMONID_KEY' },
    ),
  }),
  'Encryption at rest. It is chosen when a data directory is made; an encrypted one needs its key at every start.',
);
