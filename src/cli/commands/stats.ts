/** `harmonid stats`: what is in the database, and how does it fare? */
import { Command } from 'commander';
import type { GalleryStats, SearchStats, Stats } from '../../api.js';
import { withDatabase } from '../connection.js';
import { exitCodes } from '../failure.js';
import { describe, targetOptions, type TargetOptions } from '../options.js';
import type { Run } from '../run.js';
import { painter, printJson, printLine, type Paint } from '../terminal.js';
import { bytesText, facts, nothing, presentationText, table, timeText, type Row } from '../wording.js';

export function statsCommand(run: Run): Command {
  const command = new Command('stats')
    .summary('show counts, memory, graphs and the model')
    .description(
      'Prints what each gallery holds, the state of its graph, and, of a server, the model, its execution provider and its counters.',
    );
  targetOptions(command);
  describe(
    command,
    ['harmonid stats', 'harmonid stats --server localhost:50051 --json'],
    'With --json: {"version","startedAt","embedder":{"info","stats"}|null,"galleries":[…],"search":{…},"residentBytes","storeBytes"}.\nA data directory is opened without its model: "embedder" is null.',
  );
  return command.action((options: TargetOptions) =>
    run(command, async (terminal) => {
      const stats = await withDatabase(options, { images: false, create: false }, (database) =>
        database.stats({ signal: terminal.interrupt }),
      );
      if (options.json) printJson(terminal, stats);
      else printLine(terminal, statsText(painter(terminal, 'stdout'), stats));
      return exitCodes.done;
    }),
  );
}

function searchText({ running, runningMax, searches, ownSearches }: SearchStats): string {
  return `${ownSearches + searches}, ${searches} of them by helping threads (${running} running, at most ${runningMax})`;
}

function statsText(paint: Paint, stats: Stats): string {
  const about: [string, string][] = [
    ['version', stats.version],
    ['started', timeText(stats.startedAt)],
    ['memory', bytesText(stats.residentBytes)],
    ['store', bytesText(stats.storeBytes)],
  ];
  if (stats.search) about.push(['searches', searchText(stats.search)]);
  if (stats.embedder) {
    const { info, stats: counters } = stats.embedder;
    about.push(
      [
        'model',
        `${info.pack}, ${info.dimensions} dimensions, detector ${info.detector}${info.mirrorAveraging ? ', mirror averaging' : ''}`,
      ],
      ['space', info.space],
      ['provider', `${info.provider} (${info.providerReason})`],
      ['threshold', `${info.threshold} (${info.thresholdSource})`],
      [
        'presentation',
        presentationText(info.presentation && [info.presentation.threshold, info.presentation.thresholdSource]),
      ],
      [
        'embedded',
        `${counters.images} images, ${counters.faces} faces, ${counters.batchMean.toFixed(1)} faces a batch, ${counters.inFlight} in work`,
      ],
    );
  }
  const rows = stats.galleries.map(galleryRow);
  const galleries =
    rows.length === 0
      ? 'no galleries yet'
      : table(
          paint,
          [
            'gallery',
            'people',
            'templates',
            'changes',
            'graph',
            'in graph',
            'pending',
            'removed',
            'recall',
            'memory',
            'checkpoint',
          ],
          rows,
        );
  return `${facts(paint, about)}\n\n${galleries}`;
}

function galleryRow({ gallery, identityCount, templateCount, sequence, graph }: GalleryStats): Row {
  return [
    gallery,
    `${identityCount}`,
    `${templateCount}`,
    `${sequence}`,
    graph.engine,
    graph.rebuild
      ? `${graph.indexedCount} (anew: ${graph.rebuild.builtCount} of ${graph.rebuild.wantedCount})`
      : `${graph.indexedCount}`,
    `${graph.pendingCount}`,
    `${graph.removedCount}`,
    graph.recall === null ? nothing : `${graph.recall.toFixed(3)} of ${graph.recallSamples}`,
    bytesText(graph.bytes),
    graph.checkpointSequence === null ? nothing : `change ${graph.checkpointSequence}, ${timeText(graph.checkpointAt)}`,
  ];
}
