/**
 * The services that every gRPC server should have and that are not ours: grpc.health.v1 and server reflection (v1, v1alpha).
 *
 * Their streams have no end of their own, so they are ended when the server drains; otherwise one health watcher would hold up a
 * shutdown.
 */
import type { Server, UntypedServiceImplementation } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation, service as healthService } from 'grpc-health-check';
import { fileDescriptors } from '../wire/descriptor.js';
import { AdminServiceService } from '../wire/harmonid/v1/admin.js';
import { IdentityServiceService } from '../wire/harmonid/v1/identity.js';

/** The server as a whole, then each service, as health checks name them. */
const healthNames = ['', serviceName(IdentityServiceService), serviceName(AdminServiceService)];

/** Adds health and reflection; `draining` turns every health status to NOT_SERVING and ends open streams. */
export function addStandardServices(server: Server, draining: AbortSignal): void {
  const health = new HealthImplementation(Object.fromEntries(healthNames.map((name) => [name, 'SERVING'])));
  // Before the streams end: a watcher is told first.
  draining.addEventListener('abort', () => {
    for (const name of healthNames) health.setStatus(name, 'NOT_SERVING');
  });
  const endable: Pick<Server, 'addService'> = {
    addService: (definition, implementation) =>
      server.addService(definition, endStreams(implementation, new Set(streamsOf(definition)), draining)),
  };
  health.addToServer({
    addService: (definition, implementation) => endable.addService(definition, withoutStrangers(implementation)),
  });
  reflection().addToServer(endable);
}

/** Reflection over the descriptors in the package: the contract with its comments, and health. */
function reflection(): ReflectionService {
  const healthFiles = Object.values(healthService).flatMap(({ requestType }) => requestType.fileDescriptorProtos);
  return new ReflectionService({
    // Only the descriptors of a definition are looked at; what kind it says it is does not matter.
    harmonid: {
      format: 'Protocol Buffer 3 EnumDescriptorProto',
      type: {},
      fileDescriptorProtos: [...fileDescriptors.map((base64) => Buffer.from(base64, 'base64')), ...healthFiles],
    },
  });
}

type Definition = Parameters<Server['addService']>[0];

/** Names of the methods that answer with a stream, as an implementation may spell them. */
function streamsOf(definition: Definition): string[] {
  return Object.entries(definition).flatMap(([name, { responseStream, originalName }]) =>
    responseStream ? [name, ...(originalName === undefined ? [] : [originalName])] : [],
  );
}

function endStreams(
  implementation: UntypedServiceImplementation,
  streams: ReadonlySet<string>,
  draining: AbortSignal,
): UntypedServiceImplementation {
  return Object.fromEntries(
    Object.entries(implementation).map(([name, handle]) => {
      if (!streams.has(name)) return [name, handle];
      const endable = (...call: [EndableCall, ...unknown[]]): void => {
        endWhen(draining, call[0]);
        Reflect.apply(handle, implementation, call);
      };
      return [name, endable];
    }),
  );
}

/**
 * Health under names that are nobody's is health under one: the package keeps every name that was ever watched, and quotes one that is
 * asked for in its answer's headers, which HTTP/2 does not send when it is long.
 */
function withoutStrangers(implementation: UntypedServiceImplementation): UntypedServiceImplementation {
  return Object.fromEntries(
    Object.entries(implementation).map(([name, handle]) => {
      const named = (...call: [{ readonly request: { service?: string } }, ...unknown[]]): void => {
        const { request } = call[0];
        if (request.service !== undefined && !healthNames.includes(request.service)) request.service = 'unknown';
        Reflect.apply(handle, implementation, call);
      };
      return [name, named];
    }),
  );
}

interface EndableCall {
  end(): unknown;
  on(event: 'cancelled', listener: () => void): unknown;
}

function endWhen(draining: AbortSignal, call: EndableCall): void {
  const end = (): void => void call.end();
  draining.addEventListener('abort', end, { once: true });
  call.on('cancelled', () => draining.removeEventListener('abort', end));
}

/** `harmonid.v1.AdminService`, from a method's path. */
function serviceName(definition: Definition): string {
  const path = Object.values(definition)[0]?.path ?? '';
  return path.slice(1, path.lastIndexOf('/'));
}
