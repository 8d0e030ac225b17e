/**
 * What Prometheus is told. With database-gauges.ts, which is what is read off the database, the only importer of prom-client.
 *
 * Promises: labels take values from our own tables only (methods, codes, stages, galleries that exist), never what a caller wrote, so that nobody can fill the
 * memory with them. Names and units follow Prometheus' conventions: seconds, bytes, `_total`.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Database, Decision, Stage } from '../api.js';
import type { ErrorCode } from '../errors.js';
import { callNeeds } from './call-permissions.js';
import { DatabaseGauges } from './database-gauges.js';

const secondsBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const stages: readonly Stage[] = ['decode', 'detect', 'align', 'embed', 'search', 'write'];
const decisions: readonly Decision[] = ['match', 'no-match', 'ambiguous'];

export class Metrics {
  readonly #registry = new Registry();
  readonly #calls: Counter<'method' | 'code'>;
  readonly #callSeconds: Histogram<'method'>;
  readonly #inFlight: Gauge<'method'>;
  readonly #items: Counter<'method'>;
  readonly #stageSeconds: Histogram<'stage'>;
  readonly #flushSeconds: Histogram;
  readonly #decisions: Counter<'kind' | 'decision'>;
  readonly #refused: Counter<'code'>;
  readonly #refusedConnections: Counter;

  constructor() {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    const counter = <L extends string>(name: string, help: string, labelNames: L[]): Counter<L> =>
      new Counter({ name: `harmonid_${name}`, help, labelNames, registers });
    this.#calls = counter('calls_total', 'Calls answered, by method and outcome (OK, or the code of the error).', [
      'method',
      'code',
    ]);
    this.#callSeconds = new Histogram({
      name: 'harmonid_call_seconds',
      help: 'From a call’s arrival to its answer; of streams, to their end.',
      labelNames: ['method'],
      buckets: secondsBuckets,
      registers,
    });
    this.#inFlight = new Gauge({
      name: 'harmonid_calls_in_flight',
      help: 'Calls that have come and are not answered.',
      labelNames: ['method'],
      registers,
    });
    this.#items = counter('stream_items_total', 'Items of streams that were taken.', ['method']);
    this.#stageSeconds = new Histogram({
      name: 'harmonid_stage_seconds',
      help: 'Time a stage took for one image, search or write, waiting for it included.',
      labelNames: ['stage'],
      buckets: secondsBuckets,
      registers,
    });
    this.#flushSeconds = new Histogram({
      name: 'harmonid_flush_seconds',
      help: 'From the last change of a commit until the disk has it; concurrent writes share a commit.',
      buckets: secondsBuckets,
      registers,
    });
    this.#decisions = counter('decisions_total', 'Decisions of identifications and verifications.', [
      'kind',
      'decision',
    ]);
    this.#refused = counter(
      'refused_at_door_total',
      'Calls refused before they were read: no key, no permission, too many.',
      ['code'],
    );
    this.#refusedConnections = counter(
      'connections_refused_total',
      'Connections closed as they came: too many from one address, or in all.',
      [],
    );
    // So that rates begin at 0 and not at the first event.
    for (const stage of stages) this.#stageSeconds.zero({ stage });
    for (const decision of decisions) this.#decisions.inc({ kind: 'identify', decision }, 0);
    for (const code of ['UNAUTHENTICATED', 'PERMISSION_DENIED', 'OVERLOADED']) this.#refused.inc({ code }, 0);
  }

  /** A call has come. @returns what is told when it is answered */
  called(path: string): (code: ErrorCode | 'OK') => void {
    const method = methodOf(path);
    this.#inFlight.inc({ method });
    const end = this.#callSeconds.startTimer({ method });
    return (code) => {
      end();
      this.#inFlight.dec({ method });
      this.#calls.inc({ method, code });
    };
  }

  tookItem(path: string): void {
    this.#items.inc({ method: methodOf(path) });
  }

  refusedAtDoor(code: ErrorCode): void {
    this.#refused.inc({ code });
  }

  /** One of thousands a second: counted for itself, and told when it is asked for. */
  refusedAsBusy(): void {
    this.#busy++;
  }

  refusedConnection(): void {
    this.#refusedConnections.inc();
  }

  took(stage: Stage, ms: number): void {
    this.#stageSeconds.observe({ stage }, ms / 1000);
  }

  committed(ms: number): void {
    this.#flushSeconds.observe(ms / 1000);
  }

  decided(kind: 'identify' | 'verify', decision: Decision): void {
    this.#decisions.inc({ kind, decision });
  }

  /** Adds what is read off the database at every scrape. */
  watch(database: Database): void {
    const gauges = new DatabaseGauges(this.#registry);
    this.#collect = async () => gauges.read(database);
  }

  /** Adds when the certificate of a server runs out. */
  watchCertificate(certificate: { readonly expiresAt: Date }): void {
    const expiry: Gauge = new Gauge({
      name: 'harmonid_tls_certificate_expiry_timestamp_seconds',
      help: 'When the certificate in use runs out, seconds since 1970.',
      registers: [],
      // It may be another one at every scrape.
      collect: () => expiry.set(certificate.expiresAt.getTime() / 1000),
    });
    this.#registry.registerMetric(expiry);
  }

  #busy = 0;
  #collect: () => Promise<void> = async () => undefined;

  /** In Prometheus' text format. */
  async text(): Promise<string> {
    this.#refused.inc({ code: 'OVERLOADED' }, this.#busy);
    this.#busy = 0;
    await this.#collect();
    return this.#registry.metrics();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }
}

/** `Identify` for `/harmonid.v1.IdentityService/Identify`. */
function methodOf(path: string): string {
  return callNeeds.has(path) ? path.slice(path.lastIndexOf('/') + 1) : 'unknown';
}
