/**
 * A Database as somebody sees it who was granted some galleries: others are refused, whether they are there or not, and left out of lists.
 *
 * Which permission a call needs is the server's to know (call-permissions.ts); this is about where. Calls that concern all galleries at once need a grant for all.
 * An import ends at the first item for another gallery, after the results of what had begun.
 */
import {
  defaultGallery,
  type Calibration,
  type CalibrateAnswer,
  type CalibrateRequest,
  type CalibrationRef,
  type CallOptions,
  type CheckCounts,
  type CheckRequest,
  type CreateGalleryRequest,
  type Database,
  type EmbedAnswer,
  type EmbedRequest,
  type EnrollAnswer,
  type EnrollRequest,
  type EraseAnswer,
  type EraseRequest,
  type ExportedTemplate,
  type Finding,
  type Gallery,
  type Identification,
  type IdentifyFacesRequest,
  type IdentifyRequest,
  type Identity,
  type IdentityPage,
  type IdentityRef,
  type ImportResult,
  type ImportTemplatesOptions,
  type ListIdentitiesRequest,
  type RemoveTemplateRequest,
  type Rollouts,
  type Stats,
  type TemplateImportResult,
  type UpdateGalleryRequest,
  type UpdateIdentityRequest,
  type Verification,
  type VerifyRequest,
} from '../api.js';
import { coversAll, coversGallery, requireAll, requireGallery, type Grant } from './grant.js';

interface Place {
  readonly gallery?: string | undefined;
}

/** `database` itself for whoever was granted all galleries. */
export function scoped(database: Database, grant: Grant): Database {
  return coversAll(grant) ? database : new ScopedDatabase(database, grant);
}

class ScopedDatabase implements Database {
  readonly #database: Database;
  readonly #grant: Grant;

  constructor(database: Database, grant: Grant) {
    this.#database = database;
    this.#grant = grant;
  }

  /** Made for those who want it: a database is made for each call. */
  get rollouts(): Rollouts {
    return scopedRollouts(this.#database.rollouts, (request) => this.#within(request));
  }

  async createGallery(request: CreateGalleryRequest): Promise<Gallery> {
    return this.#database.createGallery(this.#within(request));
  }

  async getGallery(request: { readonly gallery: string } & CallOptions): Promise<Gallery> {
    return this.#database.getGallery(this.#within(request));
  }

  async listGalleries(options?: CallOptions): Promise<readonly Gallery[]> {
    return this.#covered(await this.#database.listGalleries(options));
  }

  async updateGallery(request: UpdateGalleryRequest): Promise<Gallery> {
    return this.#database.updateGallery(this.#within(request));
  }

  async deleteGallery(request: { readonly gallery: string } & CallOptions): Promise<boolean> {
    return this.#database.deleteGallery(this.#within(request));
  }

  async enroll(request: EnrollRequest): Promise<EnrollAnswer> {
    return this.#database.enroll(this.#within(request));
  }

  importAll(
    items: AsyncIterable<EnrollRequest> | Iterable<EnrollRequest>,
    options?: CallOptions,
  ): AsyncIterable<ImportResult> {
    return this.#database.importAll(this.#eachWithin(items), options);
  }

  async identify(request: IdentifyRequest): Promise<Identification> {
    return this.#database.identify(this.#within(request));
  }

  async identifyFaces(request: IdentifyFacesRequest): Promise<readonly Identification[]> {
    return this.#database.identifyFaces(this.#within(request));
  }

  async verify(request: VerifyRequest): Promise<Verification> {
    return this.#database.verify(this.#within(request));
  }

  /** Concerns no gallery. */
  async embed(request: EmbedRequest): Promise<EmbedAnswer> {
    return this.#database.embed(request);
  }

  async getIdentity(request: IdentityRef): Promise<Identity> {
    return this.#database.getIdentity(this.#within(request));
  }

  async listIdentities(request: ListIdentitiesRequest = {}): Promise<IdentityPage> {
    return this.#database.listIdentities(this.#within(request));
  }

  async updateIdentity(request: UpdateIdentityRequest): Promise<Identity> {
    return this.#database.updateIdentity(this.#within(request));
  }

  async removeTemplate(request: RemoveTemplateRequest): Promise<Identity> {
    return this.#database.removeTemplate(this.#within(request));
  }

  async eraseIdentity(request: EraseRequest): Promise<EraseAnswer> {
    return this.#database.eraseIdentity(this.#within(request));
  }

  exportTemplates(request: Place & CallOptions = {}): AsyncIterable<ExportedTemplate> {
    return this.#database.exportTemplates(this.#within(request));
  }

  importTemplates(
    items: AsyncIterable<ExportedTemplate> | Iterable<ExportedTemplate>,
    options: ImportTemplatesOptions = {},
  ): AsyncIterable<TemplateImportResult> {
    if (options.gallery === undefined) return this.#database.importTemplates(this.#eachWithin(items), options);
    return this.#database.importTemplates(items, this.#within(options));
  }

  backup(options?: CallOptions): AsyncIterable<Uint8Array> {
    requireAll(this.#grant, 'a backup');
    return this.#database.backup(options);
  }

  check(request?: CheckRequest): AsyncGenerator<Finding, CheckCounts, void> {
    requireAll(this.#grant, 'a check');
    return this.#database.check(request);
  }

  async stats(options?: CallOptions): Promise<Stats> {
    const { galleries, ...rest } = await this.#database.stats(options);
    return { ...rest, galleries: this.#covered(galleries) };
  }

  async calibrate(request: CalibrateRequest = {}): Promise<CalibrateAnswer> {
    return this.#database.calibrate(this.#within(request));
  }

  async getCalibration(request: CalibrationRef = {}): Promise<Calibration | null> {
    return this.#database.getCalibration(this.#within(request));
  }

  async checkpoint(request: Place & CallOptions = {}): Promise<void> {
    // Without a name it is one of all galleries, not of the default one.
    if (request.gallery === undefined) requireAll(this.#grant, 'a checkpoint without a gallery');
    return this.#database.checkpoint(this.#within(request));
  }

  /** The database is not the caller's. */
  async close(): Promise<void> {}

  #within<Request extends Place>(request: Request): Request {
    // No gallery has an empty name: the database refuses it in its own words, and an item of an import alone.
    if (request.gallery !== '') requireGallery(this.#grant, request.gallery ?? defaultGallery);
    return request;
  }

  async *#eachWithin<Item extends Place>(items: AsyncIterable<Item> | Iterable<Item>): AsyncIterable<Item> {
    for await (const item of items) yield this.#within(item);
  }

  #covered<Item extends { readonly gallery: string }>(items: readonly Item[]): readonly Item[] {
    return items.filter(({ gallery }) => coversGallery(this.#grant, gallery));
  }
}

/** Every step of a rollout is one gallery's. */
function scopedRollouts(rollouts: Rollouts, within: <Request extends Place>(request: Request) => Request): Rollouts {
  return {
    start: async (request) => rollouts.start(within(request)),
    addPairs: (request, samples) => rollouts.addPairs(within(request), samples),
    probes: async (request) => rollouts.probes(within(request)),
    fit: (request) => rollouts.fit(within(request)),
    report: async (request) => rollouts.report(within(request)),
    shadow: (request) => rollouts.shadow(within(request)),
    canary: async (request) => rollouts.canary(within(request)),
    activate: async (request) => rollouts.activate(within(request)),
    backfill: (request, samples) => rollouts.backfill(within(request), samples),
    backfillOrder: async (request) => rollouts.backfillOrder(within(request)),
    get: async (request) => rollouts.get(within(request)),
    rollback: async (request) => rollouts.rollback(within(request)),
    complete: async (request) => rollouts.complete(within(request)),
  };
}
