/**
 * Traces of calls, for whoever collects them with OpenTelemetry. The only importer of its packages.
 *
 * Promises: a call is a span under its client's, as the W3C headers `traceparent` and `tracestate` tell it; the stages of its work are spans under it. Names and attributes are
 * ours (method, code, gallery of nobody): no identity, no image, no vector. A collector that is slow or gone costs spans and nothing else.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Metadata } from '@grpc/grpc-js';
import {
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Context,
  type Span,
  type Tracer,
} from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-base';
import type { Stage } from '../api.js';
import type { ErrorCode } from '../errors.js';
import { version } from '../version.js';

export interface TracingOptions {
  /** Of the collector: OTLP over HTTP, as JSON, e.g. `http://127.0.0.1:4318/v1/traces`. */
  readonly endpoint: string;
  /** Share of the calls that are traced, 0 to 1, where the client does not say. Larger costs more. Default 1. */
  readonly sampleRatio?: number | undefined;
}

/** One call's span. */
export interface CallTrace {
  /** Runs the call's work, so that its stages are found under it. */
  run<T>(work: () => Promise<T>): Promise<T>;
  end(code: ErrorCode | 'OK'): void;
}

/** A collector that does not answer holds up the end of the process no longer. */
const sendMsMax = 2_000;
const propagator = new W3CTraceContextPropagator();
const headers = { get: (metadata: Metadata, key: string) => metadata.get(key)[0]?.toString(), keys: () => [] };

export class Tracing {
  readonly #provider: BasicTracerProvider;
  readonly #tracer: Tracer;
  readonly #current = new AsyncLocalStorage<Context>();

  constructor({ endpoint, sampleRatio = 1 }: TracingOptions) {
    this.#provider = new BasicTracerProvider({
      resource: resourceFromAttributes({ 'service.name': 'harmonid', 'service.version': version }),
      sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(sampleRatio) }),
      spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url: endpoint, timeoutMillis: sendMsMax }))],
    });
    this.#tracer = this.#provider.getTracer('harmonid', version);
  }

  /** A call has come. @param path e.g. `/harmonid.v1.IdentityService/Identify` */
  begin(path: string, metadata: Metadata, requestId: string): CallTrace {
    const [, service = '', method = ''] = path.split('/');
    const parent = propagator.extract(ROOT_CONTEXT, metadata, headers);
    const attributes = {
      'rpc.system': 'grpc',
      'rpc.service': service,
      'rpc.method': method,
      'harmonid.request_id': requestId,
    };
    const span = this.#tracer.startSpan(`${service}/${method}`, { kind: SpanKind.SERVER, attributes }, parent);
    const own = trace.setSpan(parent, span);
    return {
      run: (work) => this.#current.run(own, work),
      end: (code) => endSpan(span, code),
    };
  }

  /** A stage of the call in whose work this is asked took so long, until now. */
  took(stage: Stage, ms: number): void {
    const call = this.#current.getStore();
    if (!call) return;
    const endTime = Date.now();
    this.#tracer.startSpan(stage, { startTime: endTime - ms }, call).end(endTime);
  }

  /** Sends what is left, if somebody takes it. */
  async close(): Promise<void> {
    await this.#provider.shutdown().catch(() => undefined);
  }
}

function endSpan(span: Span, code: ErrorCode | 'OK'): void {
  span.setAttribute('harmonid.code', code);
  if (code !== 'OK') span.setStatus({ code: SpanStatusCode.ERROR, message: code });
  span.end();
}
