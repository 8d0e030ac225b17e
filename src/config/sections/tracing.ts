/** Traces, for whoever collects them with OpenTelemetry. */
import { z } from 'zod';
import { key, section } from '../key.js';

export const tracingSection = section(
  z.strictObject({
    endpoint: key(
      z.url({ protocol: /^https?$/ }).optional(),
      'Where traces go: OTLP over HTTP. Calls are found under the spans of their clients by the W3C header `traceparent`.',
      { wanted: 'a URL, as in http://127.0.0.1:4318/v1/traces', unset: 'no traces' },
    ),
    sampleRatio: key(
      z.number().min(0).max(1).default(1),
      'Share of the calls that are traced where the client does not say. Larger shows more and costs more.',
    ),
  }),
  'Traces with OpenTelemetry.',
);
