/**
 * What Prometheus is told. The only importer of prom-client.
 *
 * Promises: labels take values from our own tables only (methods, codes, stages, galleries that exist), never what a caller wrote, so that nobody can fill the
 * memory with them. What is read off the database is read when it is asked for. Names and units follow Prometheus' conventions: seconds, bytes, `_total`.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Database, Decision, EmbedderStats, GalleryStats, LaneStats, Rollout, Stage } from '../api.js';
import { isHarmonidError, type ErrorCode } from '../errors.js';
import { rolloutStates } from '../migrate/rollout.js';
import { callNeeds } from './call-permissions.js';

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

type GaugeName = keyof typeof galleryGauges;

/** Of each gallery; what is not known is left out. */
const galleryGauges = {
  gallery_identities: ['People in the gallery.', ({ identityCount }) => identityCount],
  gallery_templates: ['Templates in the gallery.', ({ templateCount }) => templateCount],
  gallery_sequence: ['Changes since the gallery was made.', ({ sequence }) => sequence],
  graph_pending_templates: [
    'Templates that the graph does not hold yet: each is compared with every probe.',
    ({ graph }) => graph.pendingCount,
  ],
  graph_removed_templates: ['Removed templates that the graph still carries.', ({ graph }) => graph.removedCount],
  graph_bytes: ['Memory of graph and vectors, about.', ({ graph }) => graph.bytes],
  graph_recall_ratio: ['Share of sampled probes whose nearest the graph found.', ({ graph }) => graph.recall],
  graph_rebuilding: ['1 while the graph is built anew.', ({ graph }) => (graph.rebuild ? 1 : 0)],
  graph_checkpoint_age_seconds: [
    'Since the newest checkpoint.',
    ({ graph }, now) => (graph.checkpointAt ? (now.getTime() - graph.checkpointAt.getTime()) / 1000 : null),
  ],
  graph_checkpoint_behind_changes: [
    'Changes that the newest checkpoint does not hold; they are replayed at the next start.',
    ({ sequence, graph }) => (graph.checkpointSequence === null ? null : sequence - graph.checkpointSequence),
  ],
} as const satisfies Record<string, readonly [help: string, read: (stats: GalleryStats, now: Date) => number | null]>;

/** Of each lane of work. */
const laneGauges = {
  running: 'Worked on now.',
  waiting: 'Waiting for their turn now.',
  admitted: 'Begun since the start.',
  refused: 'Refused since the start, because they would be done too late.',
  waitMs: 'How long those that began lately had waited, milliseconds.',
} as const satisfies Record<Exclude<keyof LaneStats, 'lane'>, string>;

type LaneGauge = keyof typeof laneGauges;

/** Since the start, but for the images in flight. */
const embedderGauges = {
  images: 'Images that were embedded.',
  faces: 'Faces that were found.',
  batches: 'Runs of the recognition network.',
  batchMean: 'Mean faces in a run of the recognition network.',
  inFlight: 'Images waiting or in work.',
} as const satisfies Record<keyof EmbedderStats, string>;

class DatabaseGauges {
  readonly #ofGalleries: ReadonlyMap<GaugeName, Gauge<'gallery'>>;
  readonly #ofLanes: ReadonlyMap<LaneGauge, Gauge<'lane'>>;
  readonly #store: Gauge;
  readonly #ofEmbedder: ReadonlyMap<keyof EmbedderStats, Gauge>;
  readonly #info: Gauge<'version' | 'pack' | 'space' | 'provider' | 'detector'>;
  readonly #rolloutState: Gauge<'gallery' | 'state'>;
  readonly #rolloutAlarm: Gauge<'gallery'>;
  readonly #gates: Gauge<'gallery' | 'gate'>;

  constructor(registry: Registry) {
    const gauge = <L extends string>(name: string, help: string, labelNames: L[]): Gauge<L> =>
      new Gauge({ name: `harmonid_${name}`, help, labelNames, registers: [registry] });
    const names = Object.keys(galleryGauges) as GaugeName[];
    this.#ofGalleries = new Map(names.map((name) => [name, gauge(name, galleryGauges[name][0], ['gallery'])]));
    const figures = Object.keys(laneGauges) as LaneGauge[];
    this.#ofLanes = new Map(
      figures.map((name) => [name, gauge(`lane_${snakeCase(name)}`, laneGauges[name], ['lane'])]),
    );
    this.#store = gauge('store_bytes', 'Size of the data file.', []);
    const counters = Object.keys(embedderGauges) as (keyof EmbedderStats)[];
    this.#ofEmbedder = new Map(
      counters.map((name) => [name, gauge(`embedder_${snakeCase(name)}`, embedderGauges[name], [])]),
    );
    this.#info = gauge('info', 'Version, model and execution provider, as labels.', [
      'version',
      'pack',
      'space',
      'provider',
      'detector',
    ]);
    this.#rolloutState = gauge('rollout_state', '1 for the state that a gallery’s newest rollout is in.', [
      'gallery',
      'state',
    ]);
    this.#rolloutAlarm = gauge('rollout_alarm', '1 where the newest rollout went back by itself.', ['gallery']);
    this.#gates = gauge('rollout_gate_passed', '1 where the gate of the newest fit lets it pass, 0 where not.', [
      'gallery',
      'gate',
    ]);
  }

  async read(database: Database): Promise<void> {
    const { galleries, storeBytes, embedder, version, lanes } = await database.stats();
    for (const { lane, ...figures } of lanes) {
      for (const [name, gauge] of this.#ofLanes) gauge.set({ lane }, figures[name]);
    }
    const now = new Date();
    // Galleries that are gone have no figures.
    for (const gauge of this.#ofGalleries.values()) gauge.reset();
    this.#rolloutState.reset();
    this.#rolloutAlarm.reset();
    this.#gates.reset();
    for (const stats of galleries) {
      const { gallery } = stats;
      for (const [name, gauge] of this.#ofGalleries) {
        const value = galleryGauges[name][1](stats, now);
        if (value !== null) gauge.set({ gallery }, value);
      }
      const rollout = await rolloutOf(database, gallery);
      if (rollout) this.#readRollout(gallery, rollout);
    }
    this.#store.set(storeBytes);
    this.#info.reset();
    const { pack = '', space = '', provider = '', detector = '' } = embedder?.info ?? {};
    this.#info.set({ version, pack, space, provider, detector }, 1);
    if (embedder) for (const [name, gauge] of this.#ofEmbedder) gauge.set(embedder.stats[name]);
  }

  #readRollout(gallery: string, { state, alarm, fit }: Rollout): void {
    for (const each of rolloutStates) this.#rolloutState.set({ gallery, state: each }, each === state ? 1 : 0);
    this.#rolloutAlarm.set({ gallery }, alarm === null ? 0 : 1);
    for (const gate of fit?.gates ?? []) {
      const passed = gate.verdict === 'passed' || gate.verdict === 'not-applicable';
      this.#gates.set({ gallery, gate: gate.gate }, passed ? 1 : 0);
    }
  }
}

/** The newest rollout; undefined where there was none. */
async function rolloutOf(database: Database, gallery: string): Promise<Rollout | undefined> {
  try {
    return await database.rollouts.get({ gallery });
  } catch (error) {
    if (isHarmonidError(error) && (error.code === 'ROLLOUT_NOT_FOUND' || error.code === 'GALLERY_NOT_FOUND'))
      return undefined;
    throw error;
  }
}

/** `Identify` for `/harmonid.v1.IdentityService/Identify`. */
function methodOf(path: string): string {
  return callNeeds.has(path) ? path.slice(path.lastIndexOf('/') + 1) : 'unknown';
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
