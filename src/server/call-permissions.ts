/**
 * What every call needs. A call that is not in this table is refused, whoever asks; the compiler refuses a service with a method that is not.
 *
 * `anyone` is for what a load balancer or an orchestrator asks without a key; `known` for what everybody may ask who may come in at all.
 */
import type { Permission } from '../access/grant.js';
import { AdminServiceService } from '../wire/harmonid/v1/admin.js';
import { IdentityServiceService } from '../wire/harmonid/v1/identity.js';

export type Need = Permission | 'known' | 'anyone';

const identityCalls = {
  enroll: 'enroll',
  import: 'enroll',
  identify: 'identify',
  identifyStream: 'identify',
  verify: 'verify',
  // Gives vectors, of the caller's own photo: what enrolling elsewhere takes.
  embed: 'enroll',
  getIdentity: 'read',
  listIdentities: 'read',
  updateIdentity: 'enroll',
  removeTemplate: 'erase',
  eraseIdentity: 'erase',
} as const satisfies Record<keyof typeof IdentityServiceService, Need>;

const adminCalls = {
  createGallery: 'admin',
  getGallery: 'read',
  listGalleries: 'read',
  updateGallery: 'admin',
  deleteGallery: 'admin',
  // Model, space and limits: what a client needs to send vectors.
  getInfo: 'known',
  getStats: 'read',
  checkpoint: 'admin',
  calibrate: 'admin',
  getCalibration: 'read',
  check: 'admin',
  exportTemplates: 'export',
  importTemplates: 'enroll',
  backup: 'export',
  startRollout: 'migrate',
  addRolloutPairs: 'migrate',
  setRolloutProbes: 'migrate',
  fitRollout: 'migrate',
  getRolloutReport: 'migrate',
  shadowRollout: 'migrate',
  canaryRollout: 'migrate',
  activateRollout: 'migrate',
  backfillRollout: 'migrate',
  listBackfillCandidates: 'migrate',
  getRollout: 'migrate',
  rollbackRollout: 'migrate',
  completeRollout: 'migrate',
} as const satisfies Record<keyof typeof AdminServiceService, Need>;

const standardCalls: readonly (readonly [path: string, need: Need])[] = [
  ['/grpc.health.v1.Health/Check', 'anyone'],
  ['/grpc.health.v1.Health/List', 'anyone'],
  ['/grpc.health.v1.Health/Watch', 'anyone'],
  ['/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', 'known'],
  ['/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo', 'known'],
];

type Definition = Readonly<Record<string, { readonly path: string }>>;

/** By path, e.g. `/harmonid.v1.IdentityService/Identify`. */
export const callNeeds: ReadonlyMap<string, Need> = new Map([
  ...needsOf(IdentityServiceService, identityCalls),
  ...needsOf(AdminServiceService, adminCalls),
  ...standardCalls,
]);

function needsOf(definition: Definition, needs: Readonly<Record<string, Need>>): [string, Need][] {
  return Object.entries(definition).flatMap(([name, { path }]) => {
    const need = needs[name];
    return need === undefined ? [] : [[path, need]];
  });
}
