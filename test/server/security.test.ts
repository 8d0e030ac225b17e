/**
 * Method: real servers on real sockets, real certificates, raw calls where a client of ours would not make them. The list of calls comes from the server's own
 * reflection, so that a new call cannot be forgotten.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { Client, credentials, Metadata, status } from '@grpc/grpc-js';
import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { before, describe, it } from 'mocha';
import { formatAccessList, type AccessList } from '../../src/access/access-list.js';
import { makeApiKey, type ApiKey } from '../../src/access/api-key.js';
import { permissionNames, type Permission } from '../../src/access/grant.js';
import { addEntry, revokeEntry } from '../../src/access/key-changes.js';
import { connectDatabase, type RemoteDatabase } from '../../src/client/remote-database.js';
import type { ClientTls } from '../../src/client/connection.js';
import { startServer, type Server, type ServerOptions } from '../../src/server/server.js';
import { makeAuthority, signCertificate, type Pem } from '../support/certificates.js';
import { IdentityServiceService } from '../../src/wire/harmonid/v1/identity.js';
import { axis, Gate, makeVectorGallery, withServer } from './served.js';

const health = new Set(['Check', 'List', 'Watch'].map((name) => `/grpc.health.v1.Health/${name}`));
const reflection = ['v1', 'v1alpha'].map(
  (version) => `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
);

/** What each permission opens, and nothing else does; written by hand. */
const opened: Readonly<Record<Permission, readonly string[]>> = {
  identify: ['Identify', 'IdentifyStream'],
  verify: ['Verify'],
  enroll: ['Embed', 'Enroll', 'Import', 'ImportTemplates', 'UpdateIdentity'],
  erase: ['EraseIdentity', 'RemoveTemplate'],
  read: ['GetCalibration', 'GetGallery', 'GetIdentity', 'GetStats', 'ListGalleries', 'ListIdentities'],
  export: ['Backup', 'ExportTemplates'],
  migrate: [
    'ActivateRollout',
    'AddRolloutPairs',
    'BackfillRollout',
    'CanaryRollout',
    'CompleteRollout',
    'FitRollout',
    'GetRollout',
    'GetRolloutReport',
    'ListBackfillCandidates',
    'RollbackRollout',
    'SetRolloutProbes',
    'ShadowRollout',
    'StartRollout',
  ],
  admin: ['Calibrate', 'Check', 'Checkpoint', 'CreateGallery', 'DeleteGallery', 'UpdateGallery'],
};

interface List {
  readonly file: string;
  readonly keys: Readonly<Record<string, ApiKey>>;
  readonly change: (change: (list: AccessList) => AccessList) => Promise<void>;
}

interface Granted {
  readonly permissions: readonly Permission[];
  readonly galleries?: readonly string[];
  readonly requestsPerSecondMax?: number;
  readonly certificate?: string;
}

async function withList(grants: Readonly<Record<string, Granted>>, work: (list: List) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'harmonid-security-'));
  const file = join(folder, 'access.json');
  const keys: Record<string, ApiKey> = {};
  let list: AccessList = [];
  for (const [name, { permissions, galleries = ['*'], requestsPerSecondMax = null, certificate }] of Object.entries(
    grants,
  )) {
    const key = makeApiKey();
    keys[name] = key;
    const by =
      certificate === undefined
        ? ({ kind: 'key', id: key.id, digest: key.digest } as const)
        : ({ kind: 'certificate', subject: certificate } as const);
    list = addEntry(list, { name, permissions, galleries, expiresAt: null, requestsPerSecondMax, by }, new Date());
  }
  const put = (): Promise<void> => writeFile(file, formatAccessList(list));
  await put();
  try {
    await work({
      file,
      keys,
      change: async (change) => {
        list = change(list);
        await put();
      },
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Every path that the server lists by reflection. */
async function listedPaths(address: string, key: ApiKey): Promise<readonly string[]> {
  const client = new Client(address, credentials.createInsecure());
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${key.text}`);
  const ask = (question: Buffer): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      const call = client.makeBidiStreamRequest(
        reflection[0] ?? '',
        (bytes: Buffer) => bytes,
        (bytes: Buffer) => bytes,
        metadata,
      );
      call.on('data', (answer: Buffer) => {
        resolve(answer);
        call.end();
      });
      call.on('error', reject);
      call.write(question);
    });
  try {
    const listed = fields(await ask(Buffer.from([(7 << 3) | 2, 1, 0x2a])), 6).flatMap((answer) => fields(answer, 1));
    const names = listed.map((service) => Buffer.concat(fields(service, 1)).toString());
    const paths = new Set<string>();
    for (const name of names) {
      const answer = await ask(Buffer.concat([Buffer.from([(4 << 3) | 2, name.length]), Buffer.from(name)]));
      for (const bytes of fields(answer, 4).flatMap((files) => fields(files, 1))) {
        const file = fromBinary(FileDescriptorProtoSchema, bytes);
        for (const service of file.service)
          for (const method of service.method) paths.add(`/${file.package}.${service.name}/${method.name}`);
      }
    }
    return [...paths];
  } finally {
    client.close();
  }
}

function fields(message: Uint8Array, wanted: number): Uint8Array[] {
  const reader = new BinaryReader(message);
  const values: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === wanted) values.push(reader.bytes());
    else reader.skip(wireType, field);
  }
  return values;
}

/** The status of a call with an empty message, ended by the client if it goes on. */
function callRaw(client: Client, path: string, key: string | null): Promise<{ code: status; details: string }> {
  const metadata = new Metadata();
  if (key !== null) metadata.set('authorization', `Bearer ${key}`);
  return new Promise((resolve) => {
    const call = client.makeBidiStreamRequest(
      path,
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
      metadata,
    );
    call.on('data', () => call.cancel());
    call.on('error', () => undefined);
    call.on('status', ({ code, details }) => resolve({ code, details }));
    call.write(Buffer.alloc(0));
    call.end();
  });
}

describe('every call of the reflection listing', () => {
  it('is denied without a key, and without its permission; and its permission opens it', () => {
    const grants: Record<string, Granted> = { nothing: { permissions: [] } };
    for (const permission of permissionNames) grants[permission] = { permissions: [permission] };
    return withList(grants, ({ file, keys }) =>
      withServer({ accessFile: file }, async ({ server }) => {
        const keyOf = (name: string): string => keys[name]?.text ?? '';
        const paths = await listedPaths(server.address, keys['nothing'] ?? makeApiKey());
        const ours = paths.filter((path) => path.startsWith('/harmonid.')).map((path) => path.split('/')[2] ?? '');
        assert.deepEqual(ours.toSorted(), [...Object.values(opened).flat(), 'GetInfo'].toSorted());
        const client = new Client(server.address, credentials.createInsecure());
        try {
          for (const path of [...paths, ...reflection]) {
            const isHealth = health.has(path);
            for (const key of [null, '', makeApiKey().text]) {
              const { code } = await callRaw(client, path, key);
              if (isHealth) assert.notEqual(code, status.UNAUTHENTICATED, path);
              // Twenty wrong keys, and the address is not listened to any more.
              else assert.ok(code === status.UNAUTHENTICATED || code === status.RESOURCE_EXHAUSTED, `${path} ${code}`);
            }
            const isKnown = reflection.includes(path) || path.endsWith('/GetInfo');
            const { code } = await callRaw(client, path, keyOf('nothing'));
            if (isHealth || isKnown) assert.notEqual(code, status.PERMISSION_DENIED, path);
            else assert.equal(code, status.PERMISSION_DENIED, path);
            if (isHealth || isKnown) continue;
            for (const permission of permissionNames) {
              const { code: answered } = await callRaw(client, path, keyOf(permission));
              const isOpen = opened[permission].includes(path.split('/')[2] ?? '');
              assert.equal(answered !== status.PERMISSION_DENIED, isOpen, `${path} with ${permission}: ${answered}`);
            }
          }
        } finally {
          client.close();
        }
      }),
    );
  });

  it('is answered by nobody else', () =>
    withList({ owner: { permissions: permissionNames } }, ({ file, keys }) =>
      withServer({ accessFile: file }, async ({ server }) => {
        const client = new Client(server.address, credentials.createInsecure());
        const { code } = await callRaw(client, '/harmonid.v1.AdminService/Reboot', keys['owner']?.text ?? '');
        client.close();
        assert.equal(code, status.UNIMPLEMENTED);
      }),
    ));
});

describe('a key', () => {
  const grants = {
    lobby: { permissions: permissionNames, galleries: ['lobby', 'site-*'] },
    owner: { permissions: permissionNames },
    slow: { permissions: ['identify'], requestsPerSecondMax: 0.1 },
  } as const satisfies Record<string, Granted>;

  async function withClients(
    work: (clients: Readonly<Record<keyof typeof grants, RemoteDatabase>>, list: List, server: Server) => Promise<void>,
  ): Promise<void> {
    await withList(grants, (list) =>
      withServer({ accessFile: list.file }, async ({ server }) => {
        const clientOf = (name: keyof typeof grants): RemoteDatabase =>
          connectDatabase({ address: server.address, apiKey: list.keys[name]?.text, retries: 0 });
        const clients = { lobby: clientOf('lobby'), owner: clientOf('owner'), slow: clientOf('slow') };
        try {
          await work(clients, list, server);
        } finally {
          for (const client of Object.values(clients)) await client.close();
        }
      }),
    );
  }

  it('opens the galleries that it was granted, and tells of no others', () =>
    withClients(async ({ lobby, owner }) => {
      for (const gallery of ['lobby', 'vault', 'site-1']) await makeVectorGallery(owner, gallery);
      for (const gallery of ['lobby', 'vault', 'site-1'])
        await owner.enroll({ gallery, identity: 'a', embeddings: [axis(0)] });
      const denied = { code: 'PERMISSION_DENIED' };
      for (const gallery of ['lobby', 'site-1']) {
        assert.equal((await lobby.identify({ gallery, embedding: axis(0) })).candidates[0]?.identity, 'a');
      }
      assert.deepEqual((await lobby.listGalleries()).map(({ gallery }) => gallery).toSorted(), ['lobby', 'site-1']);
      assert.deepEqual((await lobby.stats()).galleries.map(({ gallery }) => gallery).toSorted(), ['lobby', 'site-1']);
      for (const gallery of ['vault', 'nowhere', undefined]) {
        await assert.rejects(lobby.identify({ gallery, embedding: axis(0) }), denied);
        await assert.rejects(lobby.verify({ gallery, identity: 'a', embedding: axis(0) }), denied);
        await assert.rejects(lobby.enroll({ gallery, identity: 'b', embeddings: [axis(1)] }), denied);
        await assert.rejects(lobby.eraseIdentity({ gallery, identity: 'a' }), denied);
        await assert.rejects(lobby.removeTemplate({ gallery, identity: 'a', template: 1 }), denied);
        await assert.rejects(lobby.getIdentity({ gallery, identity: 'a' }), denied);
        await assert.rejects(lobby.updateIdentity({ gallery, identity: 'a', label: 'x' }), denied);
        await assert.rejects(lobby.listIdentities({ gallery }), denied);
        await assert.rejects(read(lobby.exportTemplates({ gallery })), denied);
        await assert.rejects(read(lobby.importAll([{ gallery, identity: 'b', embeddings: [axis(1)] }])), denied);
        await assert.rejects(
          read(lobby.importTemplates([], { gallery })).then(() => lobby.checkpoint({ gallery })),
          denied,
        );
        await assert.rejects(lobby.rollouts.get({ gallery }), denied);
      }
      await assert.rejects(lobby.deleteGallery({ gallery: 'vault' }), denied);
      await assert.rejects(lobby.createGallery({ gallery: 'other', space: 's', dimensions: 2, threshold: 1 }), denied);
      await assert.rejects(read(lobby.backup()), denied);
      await assert.rejects(read(lobby.check()), denied);
      await assert.rejects(lobby.checkpoint(), denied);
      assert.equal((await owner.getGallery({ gallery: 'vault' })).templateCount, 1);
    }));

  it('that is revoked opens nothing any more, and what it has open is ended', () =>
    withClients(async ({ lobby, owner }, { change }) => {
      await makeVectorGallery(owner, 'lobby');
      const [answered, ended] = [new Gate(), new Gate()];
      async function* frames() {
        yield { sequence: 1, gallery: 'lobby', embedding: axis(0) };
        await ended.pass();
      }
      const watching = (async () => {
        for await (const _ of lobby.identifyStream(frames())) answered.open();
      })();
      await answered.pass();
      await change((list) => revokeEntry(list, 'lobby', new Date()));
      await assert.rejects(watching, { code: 'UNAUTHENTICATED', message: /key:lobby was revoked/ });
      ended.open();
      await assert.rejects(lobby.identify({ gallery: 'lobby', embedding: axis(0) }), { code: 'UNAUTHENTICATED' });
      await owner.identify({ gallery: 'lobby', embedding: axis(0) });
    }));

  it('asks no more often than it may, and is told when to come again', () =>
    withClients(async ({ slow, owner }) => {
      await makeVectorGallery(owner);
      await slow.identify({ gallery: 'lobby', embedding: axis(0) });
      await assert.rejects(slow.identify({ gallery: 'lobby', embedding: axis(0) }), (error) => {
        const { code, details } = error as { code?: unknown; details?: Record<string, unknown> };
        assert.deepEqual([code, details?.['retryAfterMs']], ['OVERLOADED', 10_000]);
        return true;
      });
    }));

  it('that permits no galleries to be made makes none in an import either', () =>
    withList({ enroller: { permissions: ['enroll'] } }, ({ file, keys }) =>
      withServer({ accessFile: file }, async ({ server, database }) => {
        const remote = connectDatabase({ address: server.address, apiKey: keys['enroller']?.text });
        try {
          await assert.rejects(read(remote.importTemplates([], { createGallery: { threshold: 1 } })), {
            code: 'PERMISSION_DENIED',
          });
          assert.deepEqual(await database.listGalleries(), []);
        } finally {
          await remote.close();
        }
      }),
    ));

  it('is not sent unencrypted to another machine', () => {
    assert.throws(() => connectDatabase({ address: '192.0.2.1:50051', apiKey: makeApiKey().text }), {
      code: 'INVALID_ARGUMENT',
    });
  });
});

describe('an address that others can reach', () => {
  const everywhere = '0.0.0.0:0';

  it('is refused without encryption, and without keys', () =>
    withList({}, ({ file }) =>
      withServer({}, async ({ database }) => {
        await assert.rejects(startServer({ database, address: everywhere, accessFile: file }), {
          code: 'INVALID_ARGUMENT',
          message: /no certificate/,
        });
        await assert.rejects(startServer({ database, address: everywhere, allowPlaintext: true }), {
          code: 'INVALID_ARGUMENT',
          message: /no list of keys/,
        });
      }),
    ));

  it('is open when the operator says so, with a warning for each', () =>
    withServer({}, async ({ database }) => {
      const warnings: string[] = [];
      const silent = (): void => undefined;
      const server = await startServer({
        database,
        address: everywhere,
        allowPlaintext: true,
        allowAnonymous: true,
        logger: { debug: silent, info: silent, error: silent, warn: (_facts, message) => warnings.push(message) },
      });
      await server.close();
      assert.deepEqual(
        warnings.map((warning) => warning.split(':')[0]),
        ['NOT ENCRYPTED', 'NO KEYS'],
      );
    }));
});

describe('TLS', () => {
  let authority: Pem;
  let other: Pem;
  let serverPem: Pem;

  before(async () => {
    [authority, other] = await Promise.all([makeAuthority(), makeAuthority('another authority')]);
    serverPem = await signCertificate(authority, { commonName: 'server' });
  });

  interface Files {
    readonly folder: string;
    readonly write: (pem: Pem) => Promise<void>;
    readonly options: NonNullable<ServerOptions['tls']>;
  }

  async function withFiles(work: (files: Files) => Promise<void>): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), 'harmonid-tls-'));
    const [certificateFile, keyFile, clientCaFile] = ['tls.crt', 'tls.key', 'ca.crt'].map((name) =>
      join(folder, name),
    ) as [string, string, string];
    const write = async ({ certificate, key }: Pem): Promise<void> => {
      await writeFile(keyFile, key);
      await writeFile(certificateFile, certificate);
    };
    await write(serverPem);
    await writeFile(clientCaFile, authority.certificate);
    try {
      await work({ folder, write, options: { certificateFile, keyFile, clientCaFile } });
    } finally {
      await rm(folder, { recursive: true });
    }
  }

  async function asking(server: Server, tls: ClientTls | false, apiKey?: string): Promise<string> {
    const remote = connectDatabase({ address: server.address, tls, apiKey, deadlineMs: 5_000, retries: 0 });
    try {
      await remote.listGalleries();
      return 'answered';
    } catch (error) {
      return error instanceof Error && 'code' in error ? String(error.code) : 'something else';
    } finally {
      await remote.close();
    }
  }

  it('is spoken with those who trust the authority, and with nobody in plain text', () =>
    withFiles(({ options: { certificateFile, keyFile } }) =>
      withServer({ tls: { certificateFile, keyFile } }, async ({ server }) => {
        assert.equal(await asking(server, { ca: authority.certificate }), 'answered');
        assert.equal(await asking(server, { ca: other.certificate }), 'UNAVAILABLE');
        assert.equal(await asking(server, false), 'UNAVAILABLE');
      }),
    ));

  it('lets client certificates in that its authority signed and the list names, and keys beside them', () =>
    withFiles(({ options }) =>
      withList(
        {
          gate: { permissions: ['read'], certificate: 'DNS:gate-7.example' },
          desk: { permissions: ['read'] },
        },
        ({ file, keys }) =>
          withServer({ tls: options, accessFile: file }, async ({ server }) => {
            const ca = authority.certificate;
            const gate = await signCertificate(authority, { commonName: 'gate', dns: ['gate-7.example'] });
            const stranger = await signCertificate(authority, { commonName: 'stranger' });
            const forged = await signCertificate(other, { commonName: 'gate', dns: ['gate-7.example'] });
            assert.equal(await asking(server, { ca, ...gate }), 'answered');
            assert.equal(await asking(server, { ca, ...stranger }), 'UNAUTHENTICATED');
            assert.equal(await asking(server, { ca, ...forged }), 'UNAUTHENTICATED');
            assert.equal(await asking(server, { ca }), 'UNAUTHENTICATED');
            assert.equal(await asking(server, { ca }, keys['desk']?.text), 'answered');
          }),
      ),
    ));

  it('turns away who shows no certificate where one is required', () =>
    withFiles(({ options }) =>
      withServer({ tls: { ...options, requireClientCertificate: true } }, async ({ server }) => {
        const ca = authority.certificate;
        const forged = await signCertificate(other, { commonName: 'x' });
        assert.equal(await asking(server, { ca }), 'UNAVAILABLE');
        assert.equal(await asking(server, { ca, ...forged }), 'UNAVAILABLE');
        assert.equal(
          await asking(server, { ca, ...(await signCertificate(authority, { commonName: 'x' })) }),
          'answered',
        );
      }),
    ));

  it('takes a new certificate without a restart, and keeps the old one when the new one cannot be used', () =>
    withFiles(({ options, write }) =>
      withServer({ tls: options }, async ({ server, logged }) => {
        assert.equal(await shownBy(server.port), 'server');
        await write(await signCertificate(authority, { commonName: 'renewed' }));
        await until(async () => (await shownBy(server.port)) === 'renewed');
        // Another's key beside it.
        await writeFile(options.keyFile, serverPem.key);
        await until(() => logged.some(({ message }) => message.startsWith('the certificate cannot be used')));
        assert.equal(await shownBy(server.port), 'renewed');
        assert.equal(await asking(server, { ca: authority.certificate }), 'answered');
      }),
    ));

  it('does not start with what cannot be used', () =>
    withFiles(({ options, write }) =>
      withServer({}, async ({ database }) => {
        const refused = async (message: RegExp): Promise<void> =>
          assert.rejects(startServer({ database, tls: options }), { code: 'ACCESS_INVALID', message });
        await writeFile(options.keyFile, (await signCertificate(authority, { commonName: 'x' })).key);
        await refused(/is not the key of the certificate/);
        const past = { notBefore: new Date('2020-01-01'), notAfter: new Date('2020-02-01') };
        await write(await signCertificate(authority, { commonName: 'old', ...past }));
        await refused(/expired at 2020-02-01/);
        await writeFile(options.certificateFile, 'no certificate');
        await refused(/is not what is wanted/);
        await rm(options.certificateFile);
        await refused(/cannot be read/);
      }),
    ));
});

/** The common name that whoever connects is shown. */
function shownBy(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

/** Asks again until it is so; mocha's time limit ends the asking. */
async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 50));
}

async function read(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

describe('a request id', () => {
  const trailersOf = async (address: string, requestId: string | null, identity: string): Promise<Metadata> => {
    const { verify } = IdentityServiceService;
    const client = new Client(address, credentials.createInsecure());
    const metadata = new Metadata();
    if (requestId !== null) metadata.set('x-request-id', requestId);
    const request = {
      gallery: 'lobby',
      identity,
      sample: { sample: { $case: 'embedding' as const, value: { space: axis(0).space, vector: [...axis(0).vector] } } },
      threshold: undefined,
      faces: 0 as const,
    };
    try {
      return await new Promise<Metadata>((resolve) => {
        const call = client.makeUnaryRequest(
          verify.path,
          verify.requestSerialize,
          (bytes: Buffer) => bytes,
          request,
          metadata,
          () => undefined,
        );
        call.on('status', (told) => resolve(told.metadata));
      });
    } finally {
      client.close();
    }
  };

  it('goes back as it came, with answers and with refusals; a refusal has one in any case, and what is no id is not repeated', () =>
    withServer({}, async ({ server, remote }) => {
      await makeVectorGallery(remote);
      await remote.enroll({ gallery: 'lobby', identity: 'a', embeddings: [axis(0)] });
      const idOf = async (requestId: string | null, identity: string): Promise<unknown> =>
        (await trailersOf(server.address, requestId, identity)).get('x-request-id')[0];
      assert.equal(await idOf('door-7/42', 'a'), 'door-7/42');
      assert.equal(await idOf('door-7/42', 'nobody'), 'door-7/42');
      assert.equal(await idOf(null, 'a'), undefined);
      assert.match(String(await idOf(null, 'nobody')), /^[0-9a-f-]{36}$/);
      assert.match(String(await idOf('x'.repeat(129), 'nobody')), /^[0-9a-f-]{36}$/);
    }));
});
