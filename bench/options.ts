/** What a bench run is asked for, parsed once. */
import { parseArgs } from 'node:util';
import { executionProviders, type ExecutionProvider } from '../src/embedder/embedder.js';
import { HarmonidError } from '../src/errors.js';

export const benches = [
  'search',
  'enroll',
  'embed',
  'server',
  'guard',
  'overload',
  'reopen',
  'map',
  'rollout',
  'graph',
  'churn',
] as const;
export type Bench = (typeof benches)[number];

/** Where a size is asked for: a `map` has nothing to build. */
const defaultSizes: Readonly<Partial<Record<Bench, string>>> = { map: '100000' };

export interface BenchOptions {
  /** Templates in the gallery, or vectors to map; each size is a run of its own. */
  readonly sizes: readonly number[];
  readonly templatesPerIdentity: number;
  /** Searches, enrolments or calls a measurement; images are a tenth of it. */
  readonly calls: number;
  /** Every peer is measured once a round; of a churn, rounds in which people come and go. */
  readonly rounds: number;
  readonly seed: number;
  /** Where networks run. */
  readonly provider: ExecutionProvider;
  /** Of the embedder; left out: as many as it takes by itself. */
  readonly workers?: number | undefined;
  /** CPU threads of one graph of a worker; left out: as the embedder takes them. */
  readonly threads?: number | undefined;
}

export type BenchCommand =
  | { readonly kind: 'run'; readonly bench: Bench; readonly options: BenchOptions; readonly json: boolean }
  | { readonly kind: 'install-peers' }
  | { readonly kind: 'help' };

export const usage = `npm run bench -- <bench> [options]

  search            recall and latency of the identity index beside plain hnswlib-node
  enroll            durable enrolments a second beside bare LMDB, by vector and by image
  embed             images a second beside a bare onnxruntime loop and face-api on WASM
  server            Identify over gRPC beside a bare grpc-js echo, and the server's event-loop delay
  overload          Identify at half to three times what the server can answer: goodput, refusals, memory; an import beside
  guard             Identify over gRPC with TLS and keys, and with an audit log, beside without; the search apart
  reopen            seconds until a closed or killed directory answers, beside a rebuild; memory, disk, longest stalls
  graph             our engine in WebAssembly beside hnswlib in C++ (compiled here) and hnswlib-node, one thread each, by recall;
                    usearch, sqlite-vec and LanceDB where they are installed; also \`search --peers\`
  churn             recall of the graph alone after rounds in each of which a tenth of the people is replaced, beside a fresh one;
                    hnswlib-node, which gives deleted places to others
  rollout           calls over gRPC while a gallery is moved to another space, back, and for good; how many fail
  map               vectors a second through fitted adapters beside bare matrix products, in the same batches
  peers install     installs into bench/peers face-api's WASM back end (for embed), usearch, sqlite-vec and LanceDB (for graph); optional

  --size N[,N...]   templates in the gallery (search, reopen: default 10000; also 100000,200000: minutes to build);
                    vectors to map (map: default 100000)
  --templates N     templates an identity (default 2)
  --calls N         searches, enrolments or calls a measurement (default 500)
  --rounds N        rounds in which all peers take their turn, or people come and go (default 3)
  --seed N          seed of gallery and probes (default 1)
  --provider NAME   where networks run: cpu (default), auto, webgpu, cuda, ...
  --workers N       threads of the embedder (embed; default: its own choice)
  --threads N       CPU threads of each worker's graphs (embed; default: the workers share the cores)
  --json            one JSON document instead of tables
`;

/** @throws INVALID_ARGUMENT */
export function parseCommand(words: readonly string[]): BenchCommand {
  const { values, positionals } = parseWords(words);
  if (values.help || positionals.length === 0) return { kind: 'help' };
  const [name, ...rest] = positionals;
  if (name === 'peers' && rest[0] === 'install' && rest.length === 1) return { kind: 'install-peers' };
  // The graphs of the search alone, and all peers.
  const bench = name === 'search' && values.peers ? 'graph' : benches.find((known) => known === name);
  if (!bench || rest.length > 0) {
    throw new HarmonidError('INVALID_ARGUMENT', `no bench "${positionals.join(' ')}"; there are ${benches.join(', ')}`);
  }
  if (values.peers && name !== 'search') {
    throw new HarmonidError('INVALID_ARGUMENT', `--peers is of search, and the bench is ${bench}`);
  }
  return {
    kind: 'run',
    bench,
    json: values.json,
    options: {
      sizes: (values.size ?? defaultSizes[bench] ?? '10000').split(',').map((size) => parseCount('--size', size)),
      templatesPerIdentity: parseCount('--templates', values.templates),
      calls: parseCount('--calls', values.calls),
      rounds: parseCount('--rounds', values.rounds),
      seed: parseCount('--seed', values.seed),
      provider: parseProvider(values.provider),
      workers: values.workers === undefined ? undefined : parseCount('--workers', values.workers),
      threads: values.threads === undefined ? undefined : parseCount('--threads', values.threads),
    },
  };
}

function parseWords(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      allowPositionals: true,
      options: {
        size: { type: 'string' },
        templates: { type: 'string', default: '2' },
        calls: { type: 'string', default: '500' },
        rounds: { type: 'string', default: '3' },
        seed: { type: 'string', default: '1' },
        provider: { type: 'string', default: 'cpu' },
        workers: { type: 'string' },
        threads: { type: 'string' },
        peers: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    throw new HarmonidError('INVALID_ARGUMENT', error instanceof Error ? error.message : String(error));
  }
}

function parseProvider(name: string): ExecutionProvider {
  const provider = executionProviders.find((known) => known === name);
  if (provider) return provider;
  throw new HarmonidError('INVALID_ARGUMENT', `no provider "${name}"; there are ${executionProviders.join(', ')}`);
}

function parseCount(name: string, text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) {
    throw new HarmonidError('INVALID_ARGUMENT', `${name} takes whole numbers from 1, found "${text}"`);
  }
  return Number(text);
}
