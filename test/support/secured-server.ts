/** A server as it stands in a building: TLS, a list of keys, and real photos; it can be stopped and started again at its address. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatAccessList, type AccessList } from '../../src/access/access-list.js';
import { makeApiKey } from '../../src/access/api-key.js';
import { roles, type Role } from '../../src/access/grant.js';
import { addEntry } from '../../src/access/key-changes.js';
import type { Database } from '../../src/api.js';
import { openDatabase } from '../../src/database.js';
import { startServer } from '../../src/server/server.js';
import { makeAuthority, signCertificate } from './certificates.js';
import { modelsPath } from './database.js';

export interface SecuredServer {
  readonly database: Database;
  readonly address: string;
  /** PEM: who signed the server's certificate. */
  readonly ca: string;
  readonly caFile: string;
  /** One for each role. */
  readonly keys: Readonly<Record<Role, string>>;
  stop(): Promise<void>;
  start(): Promise<void>;
  /** The database, too. */
  close(): Promise<void>;
}

/** Everything that it needs is put into `folder`. */
export async function startSecuredServer(folder: string): Promise<SecuredServer> {
  await mkdir(folder, { recursive: true });
  const authority = await makeAuthority();
  const certificate = await signCertificate(authority, { commonName: 'harmonid' });
  const inFolder = (name: string): string => join(folder, name);
  const tls = { certificateFile: inFolder('server.pem'), keyFile: inFolder('server-key.pem') };
  const [caFile, accessFile] = [inFolder('ca.pem'), inFolder('access.json')];
  await writeFile(caFile, authority.certificate);
  await writeFile(tls.certificateFile, certificate.certificate);
  await writeFile(tls.keyFile, certificate.key, { mode: 0o600 });
  const { keys, list } = makeKeys();
  await writeFile(accessFile, formatAccessList(list), { mode: 0o600 });

  const database = await openDatabase({ path: inFolder('data'), embedder: { modelsPath, provider: 'cpu' } });
  let server = await startServer({ database, tls, accessFile });
  const { address } = server;
  return {
    database,
    address,
    ca: authority.certificate,
    caFile,
    keys,
    stop: () => server.close({ drainMs: 2_000 }),
    start: async () => {
      server = await startServer({ database, address, tls, accessFile });
    },
    close: async () => {
      await server.close({ drainMs: 2_000 });
      await database.close();
    },
  };
}

function makeKeys(): { readonly keys: Record<Role, string>; readonly list: AccessList } {
  let list: AccessList = [];
  const keyOf = (role: Role): string => {
    const { id, digest, text } = makeApiKey();
    const by = { kind: 'key', id, digest } as const;
    const draft = {
      name: role,
      permissions: roles[role],
      galleries: ['*'],
      expiresAt: null,
      requestsPerSecondMax: null,
    };
    list = addEntry(list, { ...draft, by }, new Date());
    return text;
  };
  const keys = {
    door: keyOf('door'),
    reader: keyOf('reader'),
    enroller: keyOf('enroller'),
    registrar: keyOf('registrar'),
    operator: keyOf('operator'),
    owner: keyOf('owner'),
  };
  return { keys, list };
}
