/** What a workload hands back, and how it is printed: the same rows as JSON and as tables. */
import type { Machine } from './machine.js';

/** One line of figures; units are the last word of a name: `p50Us`, `imagesPerSecond`. */
export type Row = Readonly<Record<string, string | number | null>>;

export interface Workload {
  /** What was measured on, with sizes and seed. */
  readonly dataset: string;
  readonly tables: Readonly<Record<string, readonly Row[]>>;
  /** What a reader must know: peers that were absent, targets met or missed. */
  readonly notes: readonly string[];
}

export interface BenchReport extends Workload {
  readonly bench: string;
  readonly machine: Machine;
  readonly peakMemoryMiB: number;
  readonly seconds: number;
}

export function formatReport(report: BenchReport): string {
  const { machine } = report;
  const packages = Object.entries(machine.packages).map(([name, version]) => `${name} ${version}`);
  const lines = [
    `bench ${report.bench}, commit ${machine.commit}`,
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.platform}, node ${machine.node}`,
    packages.join(', '),
    report.dataset,
    ...Object.entries(report.tables).flatMap(([title, rows]) => ['', title, ...formatTable(rows)]),
    '',
    ...report.notes,
    `peak memory ${report.peakMemoryMiB} MiB, ${report.seconds} s`,
  ];
  return `${lines.join('\n')}\n`;
}

function formatTable(rows: readonly Row[]): readonly string[] {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const cells = [columns, ...rows.map((row) => columns.map((column) => formatCell(row[column])))];
  const widths = columns.map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)));
  const isText = columns.map((column) => rows.every((row) => typeof row[column] !== 'number'));
  return cells.map((line) =>
    line
      .map((cell, column) => (isText[column] ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}

function formatCell(value: string | number | null | undefined): string {
  if (value === null || value === undefined) return '-';
  return String(value);
}

/** Rounds a figure for a report: JSON and table show the same. */
export function rounded(value: number, decimals = 1): number {
  return Number(value.toFixed(decimals));
}
