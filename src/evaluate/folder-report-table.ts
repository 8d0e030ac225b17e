/** The report on a folder in a line for each pack. Pure. */
import Table from 'cli-table3';
import { differenceText, estimateText } from './figure-text.js';
import type { Attempt, FolderReport, PackFindings } from './folder-report.js';

export const summaryHeads = [
  'Pack',
  'Accuracy',
  'VAL @ FAR 1e-2',
  'VAL @ FAR 1e-3',
  'Own comes first',
  'FNIR @ FPIR 1e-2',
  'FPIR 1 % came',
  'Clusters: F1, BCubed F',
  '8 bits',
] as const;

/** A cell where there is no figure. */
const none = '–';

/** Texts in the order of `summaryHeads`. */
export function summaryRows({ packs }: FolderReport): readonly (readonly string[])[] {
  return packs.map((found) => [
    found.pack,
    ...verificationCells(found),
    ...identificationCells(found),
    ...otherCells(found),
  ]);
}

export function formatFolderReport(report: FolderReport): string {
  const table = new Table({ style: { head: [], border: [], compact: true }, head: [...summaryHeads] });
  for (const row of summaryRows(report)) table.push([...row]);
  return [
    `${report.photos} photos of ${report.people} people, pairs ${report.pairsDrawn ? 'drawn from the photos' : 'as given'}; seed ${report.seed}`,
    table.toString(),
    ...refusalsOf(report).map(({ what, why }) => `left out: ${what}: ${why}`),
    '',
  ].join('\n');
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

function verificationCells({ verification }: PackFindings): readonly string[] {
  const report = of(verification);
  const val = (far: number): string => {
    const found = report?.valAtFar.find((one) => one.far === far)?.val;
    return found ? estimateText(found) : none;
  };
  return [report ? estimateText(report.accuracy) : none, val(1e-2), val(1e-3)];
}

function identificationCells({ identification }: PackFindings): readonly string[] {
  const gallery = of(identification)?.galleries.find(({ engine }) => engine === 'exact');
  const fnir = gallery?.atFpir.find(({ fpir }) => fpir === 1e-2)?.fnir;
  return [gallery ? percent(gallery.rank1.value) : none, fnir ? percent(fnir.value) : none];
}

function otherCells({ calibration, clustering, dimensions }: PackFindings): readonly string[] {
  const rate = of(calibration)?.galleries[0]?.rates.find(({ kind, asked }) => kind === 'fpir' && asked === 0.01);
  const average = of(clustering)?.rows[0];
  const bytes = of(dimensions)
    ?.rows.find(({ kind }) => kind.startsWith('int8'))
    ?.vals.findLast(({ val }) => val);
  return [
    rate ? `${percent(rate.realised.mean)} ± ${(100 * rate.realised.standardError).toFixed(2)}` : none,
    average ? `${average.pairwiseF.toFixed(3)}, ${average.bcubedF.toFixed(3)}` : none,
    bytes ? differenceText(bytes.difference) : none,
  ];
}

function of<Report>(attempt: Attempt<Report>): Report | undefined {
  return 'report' in attempt ? attempt.report : undefined;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}
