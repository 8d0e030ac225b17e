/** `harmonid cluster`: who is in these photos, without anybody enrolled; or are the templates of a gallery as they are said to be? */
import { readFile, writeFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import type { Database } from '../../api.js';
import { distanceAtRate } from '../../calibration/calibration-report.js';
import { linkages, type Linkage } from '../../cluster/agglomeration.js';
import type { Box } from '../../embedder/face.js';
import { HarmonidError } from '../../errors.js';
import type { ClusterSheet } from '../../evaluate/cluster-page.js';
import type { FaceChoice } from '../../evaluate/face-choice.js';
import type { ClusterReport, FaceSet, SourceFace } from '../../evaluate/face-clusters.js';
import { trustUnitVector } from '../../vector.js';
import { withDatabase, withEmbedder } from '../connection.js';
import { exitCodes, usageError, type ExitCode } from '../failure.js';
import {
  decimalNumber,
  describe,
  embedderOptions,
  rate,
  targetOptions,
  wholeNumber,
  type EmbedderOptions,
  type GalleryOption,
  type TargetOptions,
} from '../options.js';
import { alignedOption, faceOption, kindOf, type Alignment } from '../evaluation.js';
import { listPhotos, noteIgnored } from '../photos.js';
import { startProgress } from '../progress.js';
import type { Run } from '../run.js';
import { note, printJson, printLine, type Terminal } from '../terminal.js';
import { rateText } from '../wording.js';

interface ClusterOptions extends TargetOptions, EmbedderOptions, GalleryOption {
  readonly cut?: number;
  readonly fmr?: number;
  readonly linkage: Linkage;
  readonly aligned?: Alignment;
  readonly face: FaceChoice;
  readonly cache?: string;
  readonly html?: string;
  readonly show: number;
}

/** What a page shows of the faces; a page of everything would be too large to open. */
const [sheetsMax, facesPerSheetMax, thumbnailPx] = [150, 12, 88] as const;

export function clusterCommand(run: Run): Command {
  const command = new Command('cluster')
    .summary('group the faces of photos, or the templates of a gallery, by who they show')
    .description(
      'Groups every face of every photo of a folder (nested or flat) by who it shows; two faces of one photo are two people. Or the templates of a gallery. Nothing is stored. A folder that holds one folder a person is compared with what was found.',
    )
    .argument('[folder]', 'photos');
  targetOptions(command);
  command
    .option('-g, --gallery <name>', 'cluster the templates of this gallery in place of photos')
    .option(
      '--cut <distance>',
      "farther apart are other people, squared L2 (default: the model's threshold)",
      decimalNumber,
    )
    .addOption(
      new Option(
        '--fmr <rate>',
        'cut where so many strangers are nearer to a person, by the calibration of the gallery',
      )
        .argParser(rate)
        .conflicts('cut'),
    )
    .addOption(
      new Option('--linkage <name>', 'how far apart clusters are: mean, largest or smallest distance of their faces')
        .choices(linkages)
        .default('average'),
    );
  alignedOption(command);
  faceOption(command, "the face that a person's folder means when a photo shows several");
  command
    .option('--cache <file>', 'keep the vectors of crops in this file, so that a second run resumes (with --aligned)')
    .option('--html <file>', 'also write a contact sheet (readable by its owner only)')
    .option('--show <n>', 'clusters to print; --json has all', wholeNumber, 20);
  describe(
    command,
    [
      'harmonid cluster ./photos',
      'harmonid cluster ./people --cut 0.14 --html clusters.html',
      'harmonid cluster --gallery lobby --server localhost:50051 --json',
      'harmonid cluster --gallery lobby --fmr 0.0001',
    ],
    'With --json: {"space","linkage","cut","cutSource","exact","photoCount","faceCount","clusters":[[{"name","box","person"}]],"scores","noFace","unreadable"}.',
  );
  embedderOptions(command);
  return command.action((folder: string | undefined, options: ClusterOptions) =>
    run(command, (terminal) => cluster(terminal, folder, options)),
  );
}

async function cluster(terminal: Terminal, folder: string | undefined, options: ClusterOptions): Promise<ExitCode> {
  const { gallery, linkage, cut } = options;
  if ((folder === undefined) === (gallery === undefined)) throw usageError('either a folder or --gallery is wanted');
  if (folder !== undefined && options.server !== undefined)
    throw usageError('photos are embedded here; --server goes with --gallery');
  if (folder !== undefined && options.fmr !== undefined)
    throw usageError('a folder has no calibration: --fmr goes with --gallery, --cut with both');
  if (options.cache !== undefined && options.aligned === undefined) throw usageError('--cache goes with --aligned');
  const { set, threshold, source } =
    gallery === undefined
      ? await ofFolder(terminal, folder ?? '', options)
      : await ofGallery(terminal, gallery, options);
  const { clusterFaces } = await import('../../evaluate/face-clusters.js');
  const report = await clusterFaces(set, {
    cut: cut ?? threshold,
    cutSource: cut === undefined ? source : 'as given',
    linkage,
    signal: terminal.interrupt,
  });
  if (options.html !== undefined) {
    const { renderClusterPage } = await import('../../evaluate/cluster-page.js');
    // It shows people.
    await writeFile(options.html, renderClusterPage(report, await sheetsOf(terminal, report)), { mode: 0o600 });
    note(terminal, `written: ${options.html}`);
  }
  if (options.json) printJson(terminal, report);
  else {
    const { formatClusterReport } = await import('../../evaluate/cluster-table.js');
    printLine(terminal, formatClusterReport(report, options.show));
  }
  return report.faceCount > 0 ? exitCodes.done : exitCodes.no;
}

/** Faces, and the cut when none is given. */
interface Faces {
  readonly set: FaceSet;
  readonly threshold: number;
  readonly source: string;
}

async function ofFolder(terminal: Terminal, folder: string, options: ClusterOptions): Promise<Faces> {
  const { photos, ignored } = await listPhotos(folder);
  noteIgnored(terminal, ignored);
  const { findFaces } = await import('../../evaluate/face-clusters.js');
  const progress = startProgress(terminal, photos.length, 'photos');
  try {
    return await withEmbedder(options, async (embedder) => ({
      set: await findFaces({
        embedder,
        photos,
        kind: kindOf(options.aligned),
        faceChoice: options.face,
        cachePath: options.cache,
        onProgress: (done) => progress.reach(done),
        signal: terminal.interrupt,
      }),
      threshold: embedder.info.threshold,
      source: `the threshold of ${embedder.info.pack}`,
    }));
  } finally {
    progress.stop();
  }
}

async function ofGallery(terminal: Terminal, gallery: string, options: ClusterOptions): Promise<Faces> {
  return withDatabase(options, { images: false, create: false }, async (database) => {
    const { space, threshold } = await database.getGallery({ gallery, signal: terminal.interrupt });
    const cut =
      options.fmr === undefined
        ? { threshold, source: `the threshold of gallery ${gallery}` }
        : await cutAtRate(terminal, database, gallery, options.fmr);
    const faces: SourceFace[] = [];
    const vectors: FaceSet['vectors'][number][] = [];
    for await (const { identity, template, embedding } of database.exportTemplates({
      gallery,
      signal: terminal.interrupt,
    })) {
      faces.push({ name: `${identity} ${template.template}`, box: null, person: identity });
      vectors.push(trustUnitVector(Float32Array.from(embedding.vector)));
    }
    const set = { space, faces, vectors, photos: faces.map((_, i) => i), photoCount: 0, noFace: [], unreadable: [] };
    return { set, ...cut };
  });
}

async function cutAtRate(
  terminal: Terminal,
  database: Database,
  gallery: string,
  fmr: number,
): Promise<Omit<Faces, 'set'>> {
  const calibration = await database.getCalibration({ gallery, signal: terminal.interrupt });
  const refused = (why: string): HarmonidError =>
    new HarmonidError('INVALID_ARGUMENT', `--fmr ${fmr}: ${why}`, { details: { gallery, fmr } });
  if (!calibration)
    throw refused(`gallery "${gallery}" is not calibrated; \`harmonid calibrate --gallery ${gallery}\` does it`);
  const { points, mappedCount } = calibration;
  const [least, most] = [points[0]?.fmr ?? 0, points.at(-1)?.fmr ?? 0];
  if (fmr < least || fmr > most)
    throw refused(
      `the calibration of gallery "${gallery}" speaks of rates from ${rateText(least)} to ${rateText(most)}`,
    );
  // The calibration speaks of probes, which are never mapped; here templates are compared with each other.
  if (mappedCount > 0)
    note(terminal, `${mappedCount} of the templates are mapped: between them the rate is not that of the calibration`);
  const { distance, low, high } = distanceAtRate(points, 'fmr', fmr);
  const confidence = `${rateText(low)} to ${rateText(high)} with 90 % confidence`;
  return {
    threshold: distance,
    source: `FMR ${rateText(fmr)} by the calibration of gallery ${gallery}, ${confidence}`,
  };
}

async function sheetsOf(terminal: Terminal, { clusters, photoCount }: ClusterReport): Promise<readonly ClusterSheet[]> {
  if (photoCount === 0) return [];
  const { thumbnail } = await import('../../embedder/image.js');
  const shown = clusters.slice(0, sheetsMax);
  const progress = startProgress(terminal, shown.length, 'clusters');
  const sheets: ClusterSheet[] = [];
  try {
    for (const [cluster, members] of shown.entries()) {
      terminal.interrupt.throwIfAborted();
      const pictures = members.slice(0, facesPerSheetMax).map(async ({ name, box }) => ({
        ...(await thumbnail(await readFile(name), thumbnailPx, box ? squareAround(box) : undefined)),
        alt: name,
      }));
      sheets.push({ cluster, shown: await Promise.all(pictures) });
      progress.reach(cluster + 1);
    }
    return sheets;
  } finally {
    progress.stop();
  }
}

/** So that faces of one size stand side by side. */
function squareAround({ left, top, width, height }: Box): Box {
  const side = Math.max(width, height);
  return { left: left - (side - width) / 2, top: top - (side - height) / 2, width: side, height: side };
}
