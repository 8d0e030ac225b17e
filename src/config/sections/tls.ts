/** Encryption on the wire. */
import { z } from 'zod';
import { key, section, text } from '../key.js';

export const tlsSection = section(
  z
    .strictObject({
      certificateFile: key(
        text.optional(),
        'The server’s certificate, then those between it and its authority, PEM. Followed while the server runs: a renewed one needs no restart.',
        { isPath: true, unset: 'no encryption, which is refused beyond loopback addresses', flag: '--tls-certificate' },
      ),
      keyFile: key(text.optional(), 'The key of that certificate, PEM, not encrypted.', {
        isPath: true,
        unset: 'no encryption',
        flag: '--tls-key',
      }),
      clientCaFile: key(
        text.optional(),
        'Who signs the certificates of clients, PEM. With it a client may show a certificate in place of a key.',
        { isPath: true, unset: 'clients are not asked for certificates', flag: '--tls-client-ca' },
      ),
      requireClientCertificate: key(
        z.boolean().default(false),
        'Turns away clients without a certificate, also those with a key.',
        { flag: '--require-client-certificate' },
      ),
      allowPlaintext: key(
        z.boolean().default(false),
        'Listens without encryption where others can listen in: faces, vectors and keys can be read on the way.',
        { flag: '--insecure-plaintext' },
      ),
    })
    .refine(({ certificateFile, keyFile }) => (certificateFile === undefined) === (keyFile === undefined), {
      error: 'certificateFile and keyFile go together',
    })
    .refine(({ certificateFile, clientCaFile }) => clientCaFile === undefined || certificateFile !== undefined, {
      error: 'clientCaFile wants certificateFile and keyFile',
    }),
  'Encryption on the wire, and client certificates.',
);
