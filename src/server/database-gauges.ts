/**
 * What Prometheus is told of a database: read off it when it is asked for, and nothing kept.
 */
import { Gauge, type Registry } from 'prom-client';
import type { Calibration, Database, EmbedderStats, GalleryStats, LaneStats, Rollout, SearchStats } from '../api.js';
import { isHarmonidError } from '../errors.js';
import { rolloutStates } from '../migrate/rollout.js';

type GaugeName = keyof typeof galleryGauges;
type CalibrationGauge = keyof typeof calibrationGauges;

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

/** Of each gallery, by what was learned of its serving space; what is not known is left out. */
const calibrationGauges = {
  gallery_calibrated: [
    '1 where a gallery with a target rate is calibrated, 0 where its threshold is not of that rate yet.',
    ({ hasTarget, calibration }) => (hasTarget ? (calibration ? 1 : 0) : null),
  ],
  calibration_age_seconds: [
    'Since the newest calibration.',
    ({ calibration }, now) => (calibration ? (now.getTime() - calibration.calibratedAt.getTime()) / 1000 : null),
  ],
  calibration_growth_ratio: [
    'People in the gallery now, over those of the newest calibration.',
    ({ calibration }) => (calibration ? calibration.searchedCount / calibration.identityCount : null),
  ],
} as const satisfies Record<string, readonly [help: string, read: (known: Calibrated, now: Date) => number | null]>;

interface Calibrated {
  /** FPIR or FMR. */
  readonly hasTarget: boolean;
  readonly calibration: Calibration | null;
}

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

/** Of the threads that search graphs. */
const searchGauges = {
  running: 'Threads that search beside the graphs’ own now.',
  runningMax: 'Threads that search beside the graphs’ own at most.',
  searches: 'Searches that were given to threads beside the graphs’ own since the start.',
  ownSearches: 'Searches that were given to the graphs’ own thread since the start.',
} as const satisfies Record<keyof SearchStats, string>;

export class DatabaseGauges {
  readonly #ofGalleries: ReadonlyMap<GaugeName, Gauge<'gallery'>>;
  readonly #ofCalibrations: ReadonlyMap<CalibrationGauge, Gauge<'gallery'>>;
  readonly #ofLanes: ReadonlyMap<LaneGauge, Gauge<'lane'>>;
  readonly #ofSearch: ReadonlyMap<keyof SearchStats, Gauge>;
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
    const learned = Object.keys(calibrationGauges) as CalibrationGauge[];
    this.#ofCalibrations = new Map(learned.map((name) => [name, gauge(name, calibrationGauges[name][0], ['gallery'])]));
    const figures = Object.keys(laneGauges) as LaneGauge[];
    this.#ofLanes = new Map(
      figures.map((name) => [name, gauge(`lane_${snakeCase(name)}`, laneGauges[name], ['lane'])]),
    );
    const searching = Object.keys(searchGauges) as (keyof SearchStats)[];
    this.#ofSearch = new Map(
      searching.map((name) => [name, gauge(`search_threads_${snakeCase(name)}`, searchGauges[name], [])]),
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
    const { galleries, storeBytes, embedder, version, lanes, search } = await database.stats();
    for (const { lane, ...figures } of lanes) {
      for (const [name, gauge] of this.#ofLanes) gauge.set({ lane }, figures[name]);
    }
    const now = new Date();
    // Galleries that are gone have no figures.
    for (const gauge of [...this.#ofGalleries.values(), ...this.#ofCalibrations.values()]) gauge.reset();
    this.#rolloutState.reset();
    this.#rolloutAlarm.reset();
    this.#gates.reset();
    for (const stats of galleries) {
      const { gallery } = stats;
      for (const [name, gauge] of this.#ofGalleries) {
        const value = galleryGauges[name][1](stats, now);
        if (value !== null) gauge.set({ gallery }, value);
      }
      const known = await there(() => calibratedOf(database, gallery));
      for (const [name, gauge] of this.#ofCalibrations) {
        const value = known ? calibrationGauges[name][1](known, now) : null;
        if (value !== null) gauge.set({ gallery }, value);
      }
      const rollout = await there(() => database.rollouts.get({ gallery }));
      if (rollout) this.#readRollout(gallery, rollout);
    }
    if (search) for (const [name, gauge] of this.#ofSearch) gauge.set(search[name]);
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

async function calibratedOf(database: Database, gallery: string): Promise<Calibrated> {
  const { fpirTarget, fmrTarget } = await database.getGallery({ gallery });
  const calibration = (await there(() => database.getCalibration({ gallery }))) ?? null;
  return { hasTarget: fpirTarget !== null || fmrTarget !== null, calibration };
}

/** There may never have been one, or the gallery is gone meanwhile, or a calibration cannot be read: the other figures are told all the same. */
async function there<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (isHarmonidError(error) && ['ROLLOUT_NOT_FOUND', 'GALLERY_NOT_FOUND', 'DATA_CORRUPT'].includes(error.code))
      return undefined;
    throw error;
  }
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
