/**
 * The configuration of a server: every key, in the order in which the reference shows them.
 *
 * Promises: what is parsed is complete, with every default in it. A section is one file in `sections/` and one line here; its
 * variables, its place in the reference, in the JSON Schema and in `config print` follow from that.
 */
import { z } from 'zod';
import { outlineOf } from './outline.js';
import { accessSection } from './sections/access.js';
import { admissionSection } from './sections/admission.js';
import { auditSection } from './sections/audit.js';
import { embedderSection } from './sections/embedder.js';
import { encryptionSection } from './sections/encryption.js';
import { graphSection } from './sections/graph.js';
import { limitsSection } from './sections/limits.js';
import { logSection } from './sections/log.js';
import { serverKeys } from './sections/server.js';
import { statusSection } from './sections/status.js';
import { tlsSection } from './sections/tls.js';
import { tracingSection } from './sections/tracing.js';

export const configurationSchema = z.strictObject({
  ...serverKeys,
  tls: tlsSection,
  access: accessSection,
  audit: auditSection,
  status: statusSection,
  tracing: tracingSection,
  log: logSection,
  encryption: encryptionSection,
  embedder: embedderSection,
  graph: graphSection,
  limits: limitsSection,
  admission: admissionSection,
});

/** Complete: what nobody set has its default. */
export type Configuration = z.output<typeof configurationSchema>;

export const outline = outlineOf(configurationSchema);

export const defaultConfiguration: Configuration = configurationSchema.parse({});

/** For editors: JSON Schema, draft 2020-12, of a configuration file. */
export function configurationJsonSchema(): z.core.JSONSchema.BaseSchema {
  const schema = z.toJSONSchema(configurationSchema, { io: 'input' });
  return { title: 'Configuration of a harmonid server', ...schema };
}
