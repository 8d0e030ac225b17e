/**
 * Method: what the manifests name (keys, ports, paths, files, commands) against what there is: configurations are read by the real reader, probes and the health
 * check are asked of a real status server, copied files are looked for.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { parseAllDocuments } from 'yaml';
import { readConfiguration } from '../../src/config/configuration.js';
import { defaultConfiguration } from '../../src/config/schema.js';
import { Metrics } from '../../src/server/metrics.js';
import { openStatusServer } from '../../src/server/status-server.js';
import { configured } from '../config/sources.js';
import { withDatabase } from '../support/database.js';
import { repositoryPath } from '../support/paths.js';

const read = (...path: string[]): string => readFileSync(join(repositoryPath, ...path), 'utf8');
const portOf = (address: string | undefined): number => Number(address?.slice(address.lastIndexOf(':') + 1));

type Labels = Readonly<Record<string, string>>;

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
  readonly periodSeconds: number;
  readonly failureThreshold: number;
}

interface PodSpec {
  readonly terminationGracePeriodSeconds: number;
  readonly containers: readonly {
    readonly args: readonly string[];
    readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
    readonly startupProbe: Probe;
    readonly livenessProbe: Probe;
    readonly readinessProbe: Probe;
    readonly resources: Readonly<Record<'requests' | 'limits', { readonly cpu: string; readonly memory: string }>>;
    readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
  }[];
  readonly volumes: readonly { readonly name: string; readonly secret?: { readonly secretName: string } }[];
}

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly data: Readonly<Record<string, string>>;
  readonly spec: {
    readonly replicas: number;
    readonly serviceName: string;
    readonly selector: Labels & { readonly matchLabels: Labels };
    readonly podSelector: { readonly matchLabels: Labels };
    readonly ports: readonly { readonly port: number; readonly targetPort: string }[];
    readonly ingress: readonly { readonly ports: readonly { readonly port: string }[] }[];
    readonly template: { readonly metadata: { readonly labels: Labels }; readonly spec: PodSpec };
    readonly volumeClaimTemplates: readonly { readonly metadata: { readonly name: string } }[];
  };
}

const kubernetes = read('deploy', 'kubernetes.yaml');
const manifests = parseAllDocuments(kubernetes).map((document) => {
  assert.deepEqual(document.errors, []);
  return document.toJS() as Manifest;
});

function manifest(kind: string): Manifest {
  const found = manifests.filter((each) => each.kind === kind);
  assert.equal(found.length, 1, kind);
  return found[0] as Manifest;
}

function podOf({ spec }: Manifest): PodSpec & { readonly container: PodSpec['containers'][number] } {
  const [container] = spec.template.spec.containers;
  assert.ok(container);
  return { ...spec.template.spec, container };
}

/** Of a status server that is starting, then serves, then drains, what `ask` says each time. */
async function whileItLives<T>(ask: (address: string) => Promise<T>): Promise<readonly T[]> {
  const answers: T[] = [];
  await withDatabase({ embedder: false }, async (database) => {
    const status = await openStatusServer({ address: '127.0.0.1:0', metrics: new Metrics() });
    try {
      answers.push(await ask(status.address));
      status.serve(database);
      answers.push(await ask(status.address));
      status.drain();
      answers.push(await ask(status.address));
    } finally {
      await status.close();
    }
  });
  return answers;
}

describe('the manifests of Kubernetes', () => {
  const pod = podOf(manifest('StatefulSet'));
  const { container } = pod;
  const yaml = manifest('ConfigMap').data['harmonid.yaml'] ?? '';

  it('are of one name and namespace, and choose the same pod', () => {
    const { spec } = manifest('StatefulSet');
    for (const { kind, metadata } of manifests)
      assert.deepEqual([metadata.name, metadata.namespace], ['harmonid', 'harmonid'], kind);
    const { labels } = spec.template.metadata;
    const chosen = [
      spec.selector.matchLabels,
      manifest('Service').spec.selector,
      manifest('NetworkPolicy').spec.podSelector.matchLabels,
      manifest('PodDisruptionBudget').spec.selector.matchLabels,
    ];
    for (const selector of chosen) assert.deepEqual(selector, labels);
    assert.deepEqual([spec.replicas, spec.serviceName], [1, 'harmonid']);
  });

  it('have a configuration that is right, and whose ports are those of the container', async () => {
    const { values } = await configured({ yaml });
    const ports = new Map(container.ports.map(({ name, containerPort }) => [name, containerPort]));
    assert.deepEqual([ports.get('grpc'), ports.get('status')], [portOf(values.listen), portOf(values.status.listen)]);
    const named = [
      ...manifest('Service').spec.ports.map(({ targetPort }) => targetPort),
      ...manifest('NetworkPolicy').spec.ingress.flatMap((rule) => rule.ports.map(({ port }) => port)),
      ...[container.startupProbe, container.livenessProbe, container.readinessProbe].map(({ httpGet }) => httpGet.port),
    ];
    for (const name of named) assert.ok(ports.has(name), name);
    for (const { port, targetPort } of manifest('Service').spec.ports) assert.equal(port, ports.get(targetPort));
  });

  it('mount every file that the configuration names, from a secret or the volume', async () => {
    const { values } = await configured({ yaml });
    const mounts = container.volumeMounts.filter(({ mountPath }) => mountPath !== '/tmp');
    const { tls, access, encryption, data } = values;
    const files = [tls.certificateFile, tls.keyFile, access.file, encryption.keyFile, data, container.args.at(-1)];
    for (const file of files) {
      assert.ok(file);
      assert.ok(
        mounts.some(({ mountPath }) => file === mountPath || file.startsWith(`${mountPath}/`)),
        `${file} is mounted nowhere`,
      );
    }
    const volumes = new Set([
      ...pod.volumes.map(({ name }) => name),
      ...manifest('StatefulSet').spec.volumeClaimTemplates.map(({ metadata }) => metadata.name),
    ]);
    for (const { name } of container.volumeMounts) assert.ok(volumes.has(name), name);
    for (const { secret } of pod.volumes) {
      if (secret) assert.ok(kubernetes.includes(`create secret`) && kubernetes.includes(` ${secret.secretName} `));
    }
  });

  it('leave time to drain, and a core to the event loop', async () => {
    const { drainSeconds, embedder } = (await configured({ yaml })).values;
    assert.ok(pod.terminationGracePeriodSeconds >= drainSeconds + 30);
    const { threads = 0 } = embedder;
    assert.ok(threads > 0 && threads < Number(container.resources.limits.cpu));
  });

  it('have probes that the server answers as they are meant', async () => {
    const { startupProbe, livenessProbe, readinessProbe } = container;
    const answers = await whileItLives((address) =>
      Promise.all(
        [startupProbe, livenessProbe, readinessProbe].map(
          async ({ httpGet }) => (await fetch(`http://${address}${httpGet.path}`)).status,
        ),
      ),
    );
    assert.deepEqual(answers, [
      [200, 200, 503],
      [200, 200, 200],
      [200, 200, 503],
    ]);
  });
});

describe('the unit of systemd', () => {
  const unit = read('deploy', 'harmonid.service');
  const settings = new Map(
    [...unit.matchAll(/^(\w+)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value] as const),
  );

  it('starts a file that the build makes, with the configuration that the manual writes', () => {
    const [node, script = '', ...command] = settings.get('ExecStart')?.split(' ') ?? [];
    assert.equal(node, '/usr/bin/node');
    assert.ok(existsSync(join(repositoryPath, script.replace('/opt/harmonid/', ''))), script);
    assert.deepEqual(command, ['serve', '--config', '/etc/harmonid/harmonid.yaml']);
  });

  it('owns the data directory of the example, and leaves time to drain', async () => {
    const { values } = await readConfiguration({
      file: join(repositoryPath, 'deploy', 'harmonid.yaml'),
      environment: {},
      flags: [],
    });
    assert.equal(`/var/lib/${settings.get('StateDirectory')}`, values.data);
    assert.ok(Number(settings.get('TimeoutStopSec')) >= defaultConfiguration.drainSeconds + 30);
  });

  it('hides no processes from the lock of the directory, and lets V8 compile', () => {
    for (const name of ['ProtectProc', 'PrivateUsers', 'PrivatePIDs', 'MemoryDenyWriteExecute'])
      assert.equal(settings.has(name), false, name);
  });
});

describe('the image', () => {
  const dockerfile = read('deploy', 'Dockerfile').replaceAll('\\\n', '');
  const instructions = [...dockerfile.matchAll(/^([A-Z]+) (.+)$/gm)].map(([, name = '', rest = '']) => ({
    name,
    rest: rest.trim(),
  }));
  const all = (name: string): readonly string[] =>
    instructions.filter((each) => each.name === name).map(({ rest }) => rest);

  it('copies what there is, and what .dockerignore lets through', () => {
    const admitted = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const sources = all('COPY')
      .filter((rest) => !rest.startsWith('--from='))
      .flatMap((rest) => rest.split(' ').slice(0, -1));
    assert.ok(sources.length > 0);
    for (const source of sources) assert.ok(existsSync(join(repositoryPath, source)), source);
    assert.deepEqual([...sources].toSorted(), [...admitted].toSorted());
  });

  it('serves the example, on its ports, as nobody special', async () => {
    const file = '/etc/harmonid/harmonid.yaml';
    assert.deepEqual(JSON.parse(all('CMD').at(-1) ?? ''), ['serve', '--config', file]);
    assert.ok(all('COPY').includes(`deploy/harmonid.yaml ${file}`));
    const { values } = await readConfiguration({
      file: join(repositoryPath, 'deploy', 'harmonid.yaml'),
      environment: {},
      flags: [],
    });
    assert.equal(all('EXPOSE').at(-1), `${portOf(values.listen)} ${portOf(values.status.listen)}`);
    assert.equal(all('VOLUME').at(-1), values.data);
    assert.equal(all('USER').at(-1), '1000:1000');
  });

  it('is healthy while it serves, and only then', async () => {
    const [, json = ''] = /CMD (\[.*\])$/.exec(all('HEALTHCHECK').at(-1) ?? '') ?? [];
    const [command, ...commandArguments] = JSON.parse(json) as [string, ...string[]];
    assert.equal(command, 'node');
    const healthOf = async (address: string): Promise<unknown> => {
      const given = commandArguments.map((argument) => argument.replace('127.0.0.1:9464', address));
      assert.notDeepEqual(given, commandArguments);
      const [code] = (await once(spawn(process.execPath, given), 'exit')) as [number];
      return code;
    };
    assert.deepEqual(await whileItLives(healthOf), [1, 0, 1]);
  });
});
