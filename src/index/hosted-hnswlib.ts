/**
 * hnswlib in the graphs' thread: where its templates come from, and its files (checkpoint.ts, graph-sealing.ts).
 */
import { stat } from 'node:fs/promises';
import { asHarmonidError } from '../errors.js';
import { placeGraphFile, verifyGraphFile } from './checkpoint.js';
import { unsealFile, withMemoryFile } from './graph-sealing.js';
import { openHnswlibGraph, type HnswlibGraph, type HnswlibOptions } from './hnswlib-graph.js';
import type { HostedGraph, RecordedFile, SaveTarget } from './hosted-graph.js';
import { guardLoading } from './load-guard.js';
import { entriesIn, type TemplateSource } from './template-source.js';

export function hostHnswlib(options: HnswlibOptions & { readonly source: TemplateSource }): HostedGraph {
  const graph = openHnswlibGraph(options);
  const { table } = graph;
  return {
    ...graph,

    async open(file) {
      let filling: Promise<void> | null = null;
      const fillTable = (): Promise<void> => (filling ??= fill(graph, options.source));
      let warning: string | null = null;
      if (file && !file.root) {
        try {
          const verified = await verifyGraphFile(file.path, file);
          await guardLoading(verified, file, () => loadFile(graph, verified, file, fillTable));
        } catch (error) {
          const { message, cause } = asHarmonidError(error);
          warning = cause instanceof Error ? `${message}: ${cause.message}` : message;
        }
      }
      // Its own failure is one of the store and no reason to go on without.
      await fillTable();
      if (graph.countsNow().engine === 'hnsw') return { openedFrom: 'checkpoint', warning };
      graph.start();
      return { openedFrom: table.count > 0 ? 'rebuild' : 'new', warning };
    },

    async save({ path, name, sealing }: SaveTarget) {
      // Asked while the file is cleaned, so that what was removed during the native write is cleaned away, too.
      const cleaning = {
        isLive: (label: number) => table.has(label),
        vectorOf: (label: number) => table.vectorOf(label),
      };
      const sealed = sealing && { ...sealing, bytesExpected: graph.countsNow().bytes };
      return placeGraphFile(path, name, (file) => graph.save(file), cleaning, sealed);
    },

    async kept() {},
  };
}

/** A sealed file is opened into memory first. */
async function loadFile(
  graph: HnswlibGraph,
  file: string,
  { sealing }: RecordedFile,
  fillTable: () => Promise<void>,
): Promise<void> {
  if (!sealing) return graph.load(file, fillTable);
  const { size } = await stat(file);
  const loaded = await withMemoryFile(sealing.directory, size, async (clear) => {
    await unsealFile(file, clear, sealing.key);
    await graph.load(clear, fillTable);
    return true;
  });
  if (!loaded) throw new Error('there is no room in memory to open a sealed graph file');
}

async function fill({ table }: HnswlibGraph, source: TemplateSource): Promise<void> {
  for (const entries of entriesIn(source, table.dimensions)) table.add(entries);
}
