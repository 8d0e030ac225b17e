/**
 * Vector indexes from npm that the bench `graph` measures where `npm run bench -- peers install` was run: usearch with vectors of f32 and of i8, sqlite-vec, LanceDB.
 *
 * Each is asked through its own interface for Node, one probe at a time, and its labels are read out: what its users pay. Construction is from vectors in memory
 * until all of them are found. usearch and sqlite-vec search on this thread; LanceDB has threads of its own, and hands a search from one to the next.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { construction, flat, links } from './bare-graphs.js';
import { modelDimensions, type ModelGallery } from './gallery-model.js';
import { asked, padded, refined, widths, type Peer, type Search } from './graph-peer.js';
import { peerRequire } from './peers.js';

export interface VectorPeer {
  readonly name: string;
  /** All must be installed; the first names the version. */
  readonly packages: readonly [string, ...string[]];
  /** @param folder for its files */
  readonly open: (require: NodeJS.Require, gallery: ModelGallery, folder: string) => Promise<Peer>;
}

export const vectorPeers: readonly VectorPeer[] = [
  {
    name: 'usearch, f32',
    packages: ['usearch'],
    open: (require, gallery, folder) => openUsearch(require, gallery, folder, 'f32'),
  },
  {
    name: 'usearch, i8',
    packages: ['usearch'],
    open: (require, gallery, folder) => openUsearch(require, gallery, folder, 'i8'),
  },
  { name: 'sqlite-vec', packages: ['sqlite-vec', '@photostructure/sqlite'], open: openSqliteVec },
  { name: 'LanceDB', packages: ['@lancedb/lancedb', 'apache-arrow'], open: openLanceDb },
];

/** How to open it; undefined where it is not installed. Loads its packages, so that a broken one is told before anything is built. */
export function loadVectorPeer({
  packages,
  open,
}: VectorPeer): ((gallery: ModelGallery, folder: string) => Promise<Peer>) | undefined {
  const require = peerRequire(...packages);
  if (!require) return undefined;
  for (const name of packages) require(name);
  return (gallery, folder) => open(require, gallery, folder);
}

// ── usearch ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What is used of its interface. */
interface UsearchModule {
  readonly Index: new (options: {
    dimensions: number;
    metric: 'l2sq';
    quantization: 'f32' | 'i8';
    connectivity: number;
    expansion_add: number;
    expansion_search: number;
  }) => UsearchIndex;
}

interface UsearchIndex {
  add(keys: BigUint64Array, vectors: Float32Array, threads: number): void;
  search(vector: Float32Array, count: number, threads: number): { readonly keys: BigUint64Array };
  save(file: string): void;
  view(file: string): void;
}

/**
 * Its interface sets the width when an index is made, so the graph is saved, and each width has a view of that file, touched before it is measured.
 * For i8 usearch rounds the values of a unit vector to 127ths, and has nothing finer to compare by.
 */
async function openUsearch(
  require: NodeJS.Require,
  { templates, probes }: ModelGallery,
  folder: string,
  quantization: 'f32' | 'i8',
): Promise<Peer> {
  const { Index } = require('usearch') as UsearchModule;
  const make = (width: number): UsearchIndex =>
    new Index({
      dimensions: modelDimensions,
      metric: 'l2sq',
      quantization,
      connectivity: links,
      expansion_add: construction,
      expansion_search: width,
    });
  const file = join(folder, `usearch.${quantization}`);
  const vectors = flat(templates);
  const startedMs = performance.now();
  const built = make(Math.max(...asked));
  built.add(
    BigUint64Array.from(templates, (_, label) => BigInt(label)),
    vectors,
    1,
  );
  const seconds = (performance.now() - startedMs) / 1000;
  built.save(file);
  const find = (index: UsearchIndex, vector: Float32Array, k: number): readonly number[] =>
    Array.from(index.search(vector, k, 1).keys, Number);
  const views = new Map<number, UsearchIndex>();
  const viewOf = (width: number): UsearchIndex => {
    const view = views.get(width) ?? make(width);
    if (!views.has(width)) {
      view.view(file);
      for (const { vector } of probes) find(view, vector, 1);
      views.set(width, view);
    }
    return view;
  };
  return {
    name: `usearch, ${quantization}`,
    // Bytes of the file: what it holds in memory is not told.
    built: { seconds, bytes: (await stat(file)).size },
    widths,
    async search(width, k) {
      const view = viewOf(width);
      return timed(probes, k, ({ vector }) => find(view, vector, k));
    },
    async close() {
      views.clear();
    },
  };
}

// ── sqlite-vec ───────────────────────────────────────────────────────────────────────────────────────────────────────

interface SqliteModule {
  readonly DatabaseSync: new (file: string, options: { allowExtension: boolean }) => SqliteDatabase;
}

interface SqliteDatabase {
  enableLoadExtension(allowed: boolean): void;
  loadExtension(file: string): void;
  exec(sql: string): void;
  prepare(sql: string): SqliteStatement;
  close(): void;
}

interface SqliteStatement {
  run(...values: readonly (bigint | Uint8Array)[]): object;
  all(...values: readonly Uint8Array[]): readonly Readonly<Record<string, number>>[];
}

interface SqliteVecModule {
  load(database: SqliteDatabase): void;
}

/** Of a scan, whose recall is known. */
const scannedProbes = 100;

/** An exact scan of a virtual table, in a database in memory. It has no width. */
async function openSqliteVec(require: NodeJS.Require, { templates, probes }: ModelGallery): Promise<Peer> {
  const { DatabaseSync } = require('@photostructure/sqlite') as SqliteModule;
  const database = new DatabaseSync(':memory:', { allowExtension: true });
  database.enableLoadExtension(true);
  (require('sqlite-vec') as SqliteVecModule).load(database);
  const startedMs = performance.now();
  database.exec(`CREATE VIRTUAL TABLE templates USING vec0(vector float[${modelDimensions}])`);
  const insert = database.prepare('INSERT INTO templates (rowid, vector) VALUES (?, ?)');
  database.exec('BEGIN');
  templates.forEach((vector, label) => insert.run(BigInt(label), bytesOf(vector)));
  database.exec('COMMIT');
  const seconds = (performance.now() - startedMs) / 1000;
  const [size] = database
    .prepare('SELECT page_count * page_size AS bytes FROM pragma_page_count(), pragma_page_size()')
    .all();
  const nearest = new Map(
    asked.map((k) => [
      k as number,
      database.prepare(`SELECT rowid AS label FROM templates WHERE vector MATCH ? AND k = ${k} ORDER BY distance`),
    ]),
  );
  return {
    name: 'sqlite-vec, exact',
    built: { seconds, bytes: size?.['bytes'] ?? Number.NaN },
    widths: [templates.length],
    search: async (_, k) =>
      timed(probes.slice(0, scannedProbes), k, ({ vector }) =>
        (nearest.get(k)?.all(bytesOf(vector)) ?? []).map(({ label }) => label ?? -1),
      ),
    close: async () => database.close(),
  };
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

// ── LanceDB ──────────────────────────────────────────────────────────────────────────────────────────────────────────

interface LanceModule {
  readonly connect: (folder: string) => Promise<LanceConnection>;
  readonly Index: {
    hnswSq(options: { distanceType: 'l2'; numPartitions: number; m: number; efConstruction: number }): object;
  };
}

interface LanceConnection {
  createTable(name: string, data: object): Promise<LanceTable>;
  close(): void;
}

interface LanceTable {
  createIndex(column: string, options: { config: object }): Promise<void>;
  search(vector: Float32Array): LanceQuery;
  close(): void;
}

interface LanceQuery {
  select(columns: readonly string[]): LanceQuery;
  limit(count: number): LanceQuery;
  nprobes(count: number): LanceQuery;
  ef(width: number): LanceQuery;
  refineFactor(factor: number): LanceQuery;
  toArrow(): Promise<{ getChild(column: string): { toArray(): Int32Array } | null }>;
}

/** What is used of apache-arrow's interface. */
interface ArrowModule {
  readonly Table: new (columns: Readonly<Record<string, object>>) => object;
  readonly FixedSizeList: new (length: number, item: object) => object;
  readonly Field: new (name: string, type: object, nullable: boolean) => object;
  readonly Float32: new () => object;
  makeVector(values: object): object;
  makeData(
    parts:
      | { readonly type: object; readonly data: Float32Array }
      | { readonly type: object; readonly length: number; readonly nullCount: number; readonly child: object },
  ): object;
}

/**
 * Its IVF_HNSW_SQ: a graph over vectors of eight bits, in one partition, which its documentation recommends for most tables; a table on disk.
 *
 * The width is its `ef`. Its graph gives candidates that are compared once more by the vectors of the table (refineFactor); `ef` may not be below their number.
 */
async function openLanceDb(
  require: NodeJS.Require,
  { templates, probes }: ModelGallery,
  folder: string,
): Promise<Peer> {
  const { connect, Index } = require('@lancedb/lancedb') as LanceModule;
  const arrow = require('apache-arrow') as ArrowModule;
  const path = join(folder, 'lancedb');
  const vectors = arrow.makeData({
    type: new arrow.FixedSizeList(modelDimensions, new arrow.Field('item', new arrow.Float32(), true)),
    length: templates.length,
    nullCount: 0,
    child: arrow.makeData({ type: new arrow.Float32(), data: flat(templates) }),
  });
  const rows = new arrow.Table({
    label: arrow.makeVector(Int32Array.from(templates, (_, label) => label)),
    vector: arrow.makeVector(vectors),
  });
  const connection = await connect(path);
  const startedMs = performance.now();
  const table = await connection.createTable('templates', rows);
  await table.createIndex('vector', {
    config: Index.hnswSq({ distanceType: 'l2', numPartitions: 1, m: links, efConstruction: construction }),
  });
  const seconds = (performance.now() - startedMs) / 1000;
  return {
    name: 'LanceDB, IVF_HNSW_SQ',
    built: { seconds, bytes: await folderBytes(path) },
    widths,
    async search(width, k) {
      const labels: number[] = [];
      const from = performance.now();
      for (const { vector } of probes) {
        const found = await table
          .search(vector)
          .select(['label', '_distance'])
          .limit(k)
          .nprobes(1)
          .ef(width)
          .refineFactor(Math.max(1, Math.floor(Math.min(refined, width) / k)))
          .toArrow();
        labels.push(...padded(Array.from(found.getChild('label')?.toArray() ?? []), k));
      }
      return { microseconds: (1000 * (performance.now() - from)) / probes.length, labels };
    },
    async close() {
      table.close();
      connection.close();
    },
  };
}

async function folderBytes(path: string): Promise<number> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const sizes = await Promise.all(files.map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

// ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

function timed<T>(probes: readonly T[], k: number, find: (probe: T) => readonly number[]): Awaited<ReturnType<Search>> {
  const from = performance.now();
  const answers = probes.map(find);
  const microseconds = (1000 * (performance.now() - from)) / probes.length;
  return { microseconds, labels: answers.flatMap((labels) => padded(labels, k)) };
}
