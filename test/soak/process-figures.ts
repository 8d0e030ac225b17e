/** A server process seen from outside: what the system says of it (/proc), and what it says of itself (/metrics). */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';

export interface ProcessFigures {
  /** Since the load began, seconds. */
  readonly atSeconds: number;
  /** All of it, mapped pages of the data file included. */
  readonly residentMiB: number;
  /** What is no page of a file: what a leak would fill. */
  readonly anonymousMiB: number;
  readonly heapMiB: number;
  readonly externalMiB: number;
  readonly storeMiB: number;
  readonly descriptors: number;
  readonly sockets: number;
  readonly threads: number;
  readonly callsInFlight: number;
  readonly people: Readonly<Record<string, number>>;
}

export async function readFigures(pid: number, statusAddress: string, atSeconds: number): Promise<ProcessFigures> {
  const [status, links, metrics] = await Promise.all([
    readFile(`/proc/${pid}/status`, 'utf8'),
    readLinks(`/proc/${pid}/fd`),
    readMetrics(statusAddress),
  ]);
  const kibibytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
  const sum = (name: string): number =>
    metrics.filter((line) => line.name === name).reduce((all, { value }) => all + value, 0);
  return {
    atSeconds: Math.round(atSeconds),
    residentMiB: Math.round(kibibytes('VmRSS') / 1024),
    anonymousMiB: Math.round(kibibytes('RssAnon') / 1024),
    heapMiB: mebibytes(sum('nodejs_heap_size_used_bytes')),
    externalMiB: mebibytes(sum('nodejs_external_memory_bytes')),
    storeMiB: mebibytes(sum('harmonid_store_bytes')),
    descriptors: links.length,
    sockets: links.filter((link) => link.startsWith('socket:')).length,
    threads: kibibytes('Threads'),
    callsInFlight: sum('harmonid_calls_in_flight'),
    people: Object.fromEntries(
      metrics
        .filter(({ name }) => name === 'harmonid_gallery_identities')
        .map(({ labels, value }) => [/gallery="([^"]*)"/.exec(labels)?.[1] ?? '', value]),
    ),
  };
}

async function readLinks(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder);
  // One that was closed in between is not there.
  const links = await Promise.all(names.map((name) => readlink(join(folder, name)).catch(() => null)));
  return links.filter((link) => link !== null);
}

interface MetricLine {
  readonly name: string;
  readonly labels: string;
  readonly value: number;
}

async function readMetrics(address: string): Promise<readonly MetricLine[]> {
  // No connection stays open: it would be counted.
  const response = await fetch(`http://${address}/metrics`, { headers: { connection: 'close' } });
  const text = await response.text();
  return [...text.matchAll(/^(\w+)(\{.*\})? (\S+)$/gm)].map(([, name = '', labels = '', value]) => ({
    name,
    labels,
    value: Number(value),
  }));
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / 2 ** 20);
}
