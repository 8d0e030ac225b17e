/** The report on a folder in a line for each figure, with a column for each pack. Pure. */
import Table from 'cli-table3';
import { differenceText, estimateText } from './figure-text.js';
import type { Attempt, FolderReport, PackFindings } from './folder-report.js';

/** A cell where there is no figure. */
const none = '–';

/** What stands in the first column, and where a pack has it. */
const figures: readonly (readonly [name: string, text: (found: PackFindings) => string | undefined])[] = [
  ['Accuracy', accuracyText],
  ['VAL @ FAR 1e-2', (found) => valText(found, 1e-2)],
  ['VAL @ FAR 1e-3', (found) => valText(found, 1e-3)],
  ['Own comes first', (found) => percentText(exactGallery(found)?.rank1.value)],
  ['FNIR @ FPIR 1e-1', (found) => fnirText(found, 1e-1)],
  ['FNIR @ FPIR 1e-2', (found) => fnirText(found, 1e-2)],
  ['FPIR 1 % asked, came', calibrationText],
  ['Clusters: pairwise F1', ({ clustering }) => of(clustering)?.rows[0]?.pairwiseF.toFixed(3)],
  ['Clusters: BCubed F', ({ clustering }) => of(clustering)?.rows[0]?.bcubedF.toFixed(3)],
  ['8 bits, VAL @ least FAR', byteText],
];

/** A figure and its text for each pack. */
export function summaryRows({ packs }: FolderReport): readonly (readonly string[])[] {
  return figures.map(([name, text]) => [name, ...packs.map((found) => text(found) ?? none)]);
}

/** What was left out, and why. */
export function refusalsOf({ packs }: FolderReport): readonly { readonly what: string; readonly why: string }[] {
  return packs.flatMap((found) =>
    Object.entries(found).flatMap(([name, value]: [string, unknown]) =>
      typeof value === 'object' && value !== null && 'refusal' in value
        ? [{ what: `${found.pack}, ${name}`, why: String(value.refusal) }]
        : [],
    ),
  );
}

export function formatFolderReport(report: FolderReport): string {
  const { packs, people, photos, pairsDrawn, seed } = report;
  const table = new Table({
    style: { head: [], border: [], compact: true },
    head: ['figure', ...packs.map(({ pack }) => pack)],
  });
  for (const row of summaryRows(report)) table.push([...row]);
  return [
    `${photos} photos of ${people} people, pairs ${pairsDrawn ? 'drawn from the photos' : 'as given'}; seed ${seed}`,
    table.toString(),
    ...refusalsOf(report).map(({ what, why }) => `left out: ${what}: ${why}`),
    '',
  ].join('\n');
}

function accuracyText({ verification }: PackFindings): string | undefined {
  const report = of(verification);
  return report && estimateText(report.accuracy);
}

function valText({ verification }: PackFindings, far: number): string | undefined {
  const val = of(verification)?.valAtFar.find((one) => one.far === far)?.val;
  return val ? estimateText(val) : undefined;
}

function exactGallery({ identification }: PackFindings) {
  return of(identification)?.galleries.find(({ engine }) => engine === 'exact');
}

function fnirText(found: PackFindings, wanted: number): string | undefined {
  return percentText(exactGallery(found)?.atFpir.find(({ fpir }) => fpir === wanted)?.fnir?.value);
}

function calibrationText({ calibration }: PackFindings): string | undefined {
  const rates = of(calibration)?.galleries[0]?.rates;
  const rate = rates?.find(({ kind, asked }) => kind === 'fpir' && asked === 0.01);
  return rate && estimateText(rate.realised);
}

function byteText({ dimensions }: PackFindings): string | undefined {
  const bytes = of(dimensions)?.rows.find(({ kind }) => kind.startsWith('int8'));
  const val = bytes?.vals.findLast(({ val }) => val !== null);
  return val && differenceText(val.difference);
}

function of<Report>(attempt: Attempt<Report>): Report | undefined {
  return 'report' in attempt ? attempt.report : undefined;
}

function percentText(share: number | undefined): string | undefined {
  return share === undefined ? undefined : `${(100 * share).toFixed(2)} %`;
}
