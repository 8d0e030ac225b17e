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
    connectionsPerAddressMax: key(
      z.int().min(1).max(100_000).default(1_000),
      'Connections from one address; more are closed as they come. A proxy’s clients all come from its address.',
    ),
    connectionsMax: key(
      z.int().min(1).max(100_000).default(4_000),
      'Connections in all; more are closed as they come. Each takes a file descriptor and memory: some 20 KiB while it is idle, more with encryption.',
    ),
    keepaliveSeconds: key(
      z.int().min(1).max(86_400).default(40),
      'So often a connection is asked whether its client is still there; one that is silent for half as long after it is closed. Shorter than what a firewall takes for idle.',
    ),
    importConcurrency: key(
      z.int().min(1).max(256).default(16),
      'Enrolments that an import works on at the same time. Larger fills batches better and holds more images.',
    ),
  }),
  'How much one client may ask for.',
);
