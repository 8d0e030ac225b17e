/**
 * The house plan, held by reading the sources: which room may import which, who owns which third-party package, no cycles.
 * The expected rules are the tables below, written by hand; the actual edges come from the import statements.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, existsSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, it } from 'mocha';
import { repositoryPath } from './support/paths.js';

const sourcePath = join(repositoryPath, 'src');

/** A room is a folder of src, or a file that lies directly in src. Rooms may import what is listed, and themselves. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  vector: ['errors'],
  version: [],
  random: [],
  'byte-reader': [],
  files: ['errors'],
  admission: ['errors'],
  access: ['api', 'files', 'errors'],
  audit: ['api', 'files', 'errors'],
  wire: ['api', 'migrate', 'errors'],
  threads: ['errors'],
  index: ['engine', 'threads', 'files', 'errors', 'vector', 'byte-reader'],
  embedder: ['threads', 'errors', 'vector'],
  calibration: ['index', 'threads', 'random', 'errors', 'vector'],
  cluster: ['index', 'random', 'errors', 'vector'],
  report: [],
  engine: ['errors'],
  api: ['admission', 'calibration', 'migrate', 'index', 'embedder', 'vector'],
  'calibration-requests': ['api', 'requests', 'calibration', 'index', 'errors', 'vector'],
  requests: ['api', 'index', 'embedder', 'errors', 'vector'],
  probe: ['api', 'index', 'embedder', 'errors', 'vector', 'requests'],
  'import-stream': ['errors'],
  'sample-turns': ['errors'],
  'template-import': ['api', 'requests', 'import-stream', 'index', 'errors', 'vector'],
  'template-file': ['api', 'wire', 'byte-reader', 'errors'],
  database: [
    'admission',
    'api',
    'requests',
    'probe',
    'import-stream',
    'sample-turns',
    'template-import',
    'rollout-requests',
    'calibration-requests',
    'calibration',
    'migrate',
    'index',
    'embedder',
    'errors',
    'vector',
    'version',
  ],
  doctor: ['api', 'calibration', 'cluster', 'report', 'errors', 'vector'],
  evaluate: [
    'calibration',
    'cluster',
    'engine',
    'report',
    'migrate',
    'index',
    'embedder',
    'random',
    'errors',
    'vector',
  ],
  migrate: ['import-stream', 'index', 'embedder', 'random', 'threads', 'errors', 'vector'],
  'rollout-requests': ['api', 'requests', 'migrate', 'errors', 'vector'],
  config: ['admission', 'embedder', 'server', 'errors'],
  client: ['admission', 'api', 'wire', 'requests', 'migrate', 'embedder', 'errors', 'vector', 'version'],
  server: ['access', 'audit', 'api', 'files', 'wire', 'requests', 'migrate', 'errors', 'vector', 'version'],
  cli: [
    'access',
    'audit',
    'api',
    'config',
    'database',
    'requests',
    'client',
    'server',
    'template-file',
    'byte-reader',
    'calibration',
    'cluster',
    'doctor',
    'evaluate',
    'migrate',
    'embedder',
    'errors',
    'vector',
    'version',
  ],
};

/** Packages that only certain files may import; every other package must not be imported by src at all. */
const owners: Readonly<Record<string, readonly string[]>> = {
  lmdb: ['index/lmdb-store.ts'],
  'hnswlib-node': ['index/native-graph.ts'],
  'onnxruntime-node': ['embedder/onnx-session.ts'],
  sharp: ['embedder/image.ts', 'embedder/degradation.ts', 'cli/annotate.ts'],
  zod: ['embedder/model-pack.ts', 'embedder/packs/', 'access/access-list.ts', 'config/'],
  yaml: ['config/'],
  '@bufbuild/protobuf': ['wire/', 'embedder/packs/'],
  '@grpc/grpc-js': ['wire/', 'server/', 'client/'],
  '@grpc/reflection': ['server/'],
  '@grpc/proto-loader': ['server/'],
  'grpc-health-check': ['server/'],
  'ml-matrix': ['migrate/'],
  commander: ['cli/'],
  'cli-progress': ['cli/'],
  'cli-table3': ['cli/', 'evaluate/'],
  pino: ['cli/'],
  'prom-client': ['server/metrics.ts', 'server/database-gauges.ts'],
  '@opentelemetry/api': ['server/tracing.ts'],
  '@opentelemetry/core': ['server/tracing.ts'],
  '@opentelemetry/exporter-trace-otlp-http': ['server/tracing.ts'],
  '@opentelemetry/resources': ['server/tracing.ts'],
  '@opentelemetry/sdk-trace-base': ['server/tracing.ts'],
  vega: ['report/plot-parts.ts', 'report/line-plot.ts'],
  'umap-js': ['cluster/face-map.ts'],
};

interface Import {
  readonly from: string;
  readonly specifier: string;
}

function sources(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)));
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(sourcePath, file), 'utf8');
  const pattern =
    /(?:^|\n)(?:import|export)\s+[\w*{}\s,$]*?\bfrom\s+'([^']+)'|(?:^|\n)import\s+'([^']+)'|\bimport\(\s*'([^']+)'/g;
  return [...text.matchAll(pattern)].map((match) => ({
    from: file,
    specifier: match[1] ?? match[2] ?? match[3] ?? '',
  }));
}

function room(file: string): string {
  const [head = ''] = file.split('/');
  return head.replace(/\.ts$/, '');
}

const imports = sources(sourcePath).flatMap(importsOf);
const inner = imports.flatMap(({ from, specifier }) => {
  if (!specifier.startsWith('.')) return [];
  const target = relative(sourcePath, resolve(sourcePath, dirname(from), specifier)).replace(/\.js$/, '.ts');
  return [{ from, target }];
});

describe('architecture', () => {
  it('reads imports at all', () => {
    assert.ok(inner.length > 50, `only ${inner.length} imports between our files were found`);
  });

  it('every import between our files leads to a file', () => {
    assert.deepEqual(
      inner.filter(({ target }) => !existsSync(join(sourcePath, target))),
      [],
    );
  });

  it('rooms import only the rooms below them', () => {
    const wrong = inner.filter(({ from, target }) => {
      const [a, b] = [room(from), room(target)];
      return a !== b && !allowed[a]?.includes(b);
    });
    assert.deepEqual(wrong, []);
  });

  it('the allowed edges have no cycle', () => {
    const visit = (name: string, path: readonly string[]): void => {
      assert.ok(!path.includes(name), `cycle: ${[...path, name].join(' -> ')}`);
      for (const next of allowed[name] ?? []) visit(next, [...path, name]);
    };
    for (const name of Object.keys(allowed)) visit(name, []);
  });

  it('a third-party package is imported by its owner only', () => {
    const wrong = imports.filter(({ from, specifier }) => {
      if (specifier.startsWith('.') || specifier.startsWith('node:')) return false;
      const name = specifier
        .split('/')
        .slice(0, specifier.startsWith('@') ? 2 : 1)
        .join('/');
      return !owners[name]?.some((owner) => from.startsWith(owner));
    });
    assert.deepEqual(wrong, []);
  });

  it('the index and the embedder read nothing of the process', () => {
    const offenders = sources(sourcePath)
      .filter((file) => /^(index|embedder|evaluate|server|client|migrate|config|cluster|doctor)\//.test(file))
      .filter((file) => /\bprocess\.(env|argv|exit|on|cwd)\b/.test(readFileSync(join(sourcePath, file), 'utf8')));
    assert.deepEqual(offenders, []);
  });
});
