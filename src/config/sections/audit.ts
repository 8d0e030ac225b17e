/** What is recorded of who did what. */
import { z } from 'zod';
import { key, section, text } from '../key.js';

export const auditSection = section(
  z.strictObject({
    enabled: key(
      z.boolean().default(false),
      'Records every enrolment, decision, erasure, export, change of a gallery or of the keys, and step of a rollout, in a chain of hashes. Costs some microseconds a call, and a few hundred bytes.',
      { flag: '--audit' },
    ),
    folder: key(text.optional(), 'Where the log is kept. A disk of its own is not filled by the data.', {
      isPath: true,
      unset: '`audit` in the data directory',
    }),
    whenFull: key(
      z.enum(['refuse', 'continue']).default('refuse'),
      'What happens when the log cannot be written: `refuse` answers nothing that cannot be recorded, so that doors stay shut; `continue` answers, and records how many entries are missing as soon as it can.',
    ),
    sync: key(
      z.enum(['interval', 'always']).default('interval'),
      'When entries are on the disk: `interval` within a second, which a power loss takes; `always` before the answer, which waits for it.',
    ),
    fileBytesMax: key(
      z.int().min(4_096).max(1_073_741_824).default(67_108_864),
      'A file is followed by another beyond this size, and every day. Larger makes fewer files.',
    ),
    retentionDays: key(
      z.int().min(1).max(36_500).optional(),
      'For how long files are kept. What was removed stays in the chain.',
      { unset: 'for ever' },
    ),
  }),
  'The audit log.',
);
