/**
 * From the options to an open database: the one in a directory (`--data`), or the one behind a server (`--server`).
 *
 * Engines are loaded only when they are needed: help is quick, and a client of a server loads no networks. A database that was
 * opened here is closed here.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Database } from '../api.js';
import type { DatabaseOptions, EncryptionOptions } from '../database.js';
import type { ConnectionOptions } from '../client/connection.js';
import type { Embedder } from '../embedder/embedder.js';
import { HarmonidError } from '../errors.js';
import { isDirectory } from './directories.js';
import { usageError } from './failure.js';
import { auditedLocally } from './local-audit.js';
import type { EmbedderOptions, KeyOptions, TargetOptions } from './options.js';

/** What a command needs of an embedded database. */
export interface Need {
  /** Whether images are embedded; loading the networks takes a second. */
  readonly images: boolean;
  /** Whether the directory is made when there is none. */
  readonly create: boolean;
}

type Target = TargetOptions & EmbedderOptions;

/** Opens what the options name, works on it, and closes it. */
export async function withDatabase<T>(
  target: Target,
  need: Need,
  work: (database: Database) => Promise<T>,
): Promise<T> {
  const database = await openTarget(target, need);
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}

async function openTarget(target: Target, need: Need): Promise<Database> {
  if (target.server === undefined) return openEmbedded(target, need);
  refuseEmbedderOptions(target);
  const { connectDatabase } = await import('../client/remote-database.js');
  return connectDatabase({ address: target.server, ...(await credentialsOf(target)) });
}

/** @throws a usage error when a file cannot be read */
async function credentialsOf(target: Target): Promise<Pick<ConnectionOptions, 'tls' | 'apiKey'>> {
  const { apiKeyFile, apiKey, tls, tlsCa, tlsCertificate, tlsKey, tlsName } = target;
  const read = async (file: string | undefined): Promise<Uint8Array | undefined> =>
    file === undefined ? undefined : readOption(file);
  const encrypted = tls === true || [tlsCa, tlsCertificate, tlsKey].some((file) => file !== undefined);
  const key =
    apiKeyFile === undefined
      ? apiKey
      : Buffer.from(await readOption(apiKeyFile))
          .toString()
          .trim();
  return {
    ...(key !== undefined && { apiKey: key }),
    ...(encrypted && {
      tls: {
        ca: await read(tlsCa),
        certificate: await read(tlsCertificate),
        key: await read(tlsKey),
        serverName: tlsName,
      },
    }),
  };
}

async function readOption(file: string): Promise<Uint8Array> {
  return readFile(file).catch((error: unknown) => {
    throw usageError(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  });
}

/** The database in a directory. @throws DATA_NOT_FOUND and the codes of `openDatabase` */
async function openEmbedded(target: Target, need: Need): Promise<Database> {
  if (!need.create && !(await isDirectory(target.data))) {
    throw new HarmonidError('DATA_NOT_FOUND', `there is no data directory at ${target.data}`, {
      details: { path: target.data },
    });
  }
  const { openDatabase } = await import('../database.js');
  const database = await openDatabase({
    path: target.data,
    embedder: need.images ? embedderSettings(target) : false,
    encryption: encryptionOf(target),
  });
  try {
    return await auditedLocally(database, target.data);
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** @throws a usage error when the file cannot be read */
export function encryptionOf({ keyFile, masterKey }: KeyOptions): EncryptionOptions | undefined {
  if (keyFile !== undefined) return { key: () => readOption(keyFile) };
  return masterKey === undefined ? undefined : { key: masterKey };
}

/** Networks without a database; of the data directory only its models are used. */
export async function withEmbedder<T>(
  options: EmbedderOptions & { readonly data: string },
  work: (embedder: Embedder) => Promise<T>,
): Promise<T> {
  const embedder = await openEmbedder(options);
  try {
    return await work(embedder);
  } finally {
    await embedder.close();
  }
}

/** The same for those who close it themselves. */
export async function openEmbedder(options: EmbedderOptions & { readonly data: string }): Promise<Embedder> {
  const { openOnnxEmbedder } = await import('../embedder/onnx-embedder.js');
  return openOnnxEmbedder({ modelsPath: modelsPathOf(options), ...embedderSettings(options) });
}

type EmbedderSettings = Exclude<DatabaseOptions['embedder'], Embedder | false | undefined>;

function embedderSettings(options: EmbedderOptions): EmbedderSettings {
  const { pack, provider, detector, mirror, threads, embedWorkers, models } = options;
  return {
    ...(pack !== undefined && { pack }),
    ...(provider !== undefined && { provider }),
    ...(detector !== undefined && { detector }),
    ...(mirror !== undefined && { mirrorAveraging: mirror }),
    ...(threads !== undefined && { threads }),
    ...(embedWorkers !== undefined && { workers: embedWorkers }),
    ...(models !== undefined && { modelsPath: models }),
  };
}

/** Where model packs are kept, also when there is no database yet. */
export function modelsPathOf({
  data,
  models,
}: {
  readonly data: string;
  readonly models?: string | undefined;
}): string {
  return models ?? join(data, 'models');
}

function refuseEmbedderOptions(options: EmbedderOptions): void {
  const names = ['pack', 'provider', 'detector', 'mirror', 'threads', 'embedWorkers', 'models'] as const;
  const given = names.find((name) => options[name] !== undefined);
  if (!given) return;
  const flag = given.replace(/[A-Z]/, (capital) => `-${capital.toLowerCase()}`);
  throw usageError(`--${flag} belongs to \`harmonid serve\`: the server at the other end has its own model`);
}
