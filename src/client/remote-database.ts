/**
 * A Database behind a gRPC server: `connectDatabase`.
 *
 * Same semantics and error codes as the embedded one. It connects at the first call, and again by itself after a server came back;
 * UNAVAILABLE says that there is no server. Closing it closes the connection, not the server's database.
 *
 * Made again after UNAVAILABLE, and after OVERLOADED that says when to come again (option `retries`): identify, identifyFaces, verify, embed, getGallery,
 * listGalleries, getIdentity, listIdentities, stats, info, of the rollouts get, report and backfillOrder, and enroll with an idempotency key. Nothing else
 * is: a write without a key may have been done when its answer was lost, and a stream has given away a part of its source. Camera streams
 * may go on with `reconnect`.
 */
import type {
  Calibration,
  CalibrateAnswer,
  CalibrateRequest,
  CalibrationRef,
  CallOptions,
  CheckCounts,
  CheckRequest,
  CreateGalleryRequest,
  Database,
  EmbedAnswer,
  EmbedderInfo,
  EmbedRequest,
  EnrollAnswer,
  EnrollRequest,
  EraseAnswer,
  EraseRequest,
  ExportedTemplate,
  Finding,
  Gallery,
  Identification,
  IdentifyFacesRequest,
  IdentifyRequest,
  Identity,
  IdentityPage,
  IdentityRef,
  ImportResult,
  ImportTemplatesOptions,
  ListIdentitiesRequest,
  RemoveTemplateRequest,
  Stats,
  TemplateImportResult,
  UpdateGalleryRequest,
  UpdateIdentityRequest,
  Verification,
  VerifyRequest,
} from '../api.js';
import type { Rollouts } from '../migrate/rollout.js';
import {
  AdminServiceService as admin,
  type ExportTemplatesResponse as WireExportedTemplate,
  type ImportTemplatesOptions as WireImportOptions,
  type ImportTemplatesRequest,
  type Limits,
} from '../wire/harmonid/v1/admin.js';
import { IdentityServiceService as service, type ImportRequest } from '../wire/harmonid/v1/identity.js';
import { formatExported } from '../wire/templates.js';
import { Connection, type ConnectionOptions } from './connection.js';
import { identifyFrames, type Frame, type FrameAnswer, type FrameStreamOptions } from './frame-stream.js';
import {
  formatCreateGallery,
  formatEmbed,
  formatEnroll,
  formatIdentify,
  formatCalibrate,
  formatIdentifyFaces,
  formatImportOptions,
  formatList,
  formatUpdateGallery,
  formatUpdateIdentity,
  formatVerify,
} from './format.js';
import {
  parseCalibrateAnswer,
  parseCalibration,
  parseEmbedAnswer,
  parseEmbedderInfo,
  parseEnrollAnswer,
  parseErasure,
  parseExported,
  parseFinding,
  parseGallery,
  parseIdentification,
  parseIdentity,
  parseImportedTemplate,
  parseImportResult,
  parseStats,
  parseVerification,
  present,
} from './parse.js';
import { RemoteRollouts } from './remote-rollouts.js';
import { SentItems } from './sent-items.js';

export type * from '../api.js';
export { errorCodes, HarmonidError, isHarmonidError, type ErrorCode, type ErrorDetails } from '../errors.js';
export type { ClientTls, ConnectionOptions } from './connection.js';
export type { Frame, FrameAnswer, FrameStreamOptions } from './frame-stream.js';

/** What a server is. */
export interface ServerInfo {
  readonly version: string;
  readonly startedAt: Date;
  /** Null when the server takes vectors only. */
  readonly embedder: EmbedderInfo | null;
  readonly limits: Limits;
}

/** A client of a harmonid server. Nothing is sent before the first call. */
export function connectDatabase(options: ConnectionOptions): RemoteDatabase {
  return new RemoteDatabase(new Connection(options));
}

export class RemoteDatabase implements Database {
  readonly rollouts: Rollouts;
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.rollouts = new RemoteRollouts(connection);
  }

  // ── Galleries ──────────────────────────────────────────────────────────────────────────────────────────────────────

  async createGallery(request: CreateGalleryRequest): Promise<Gallery> {
    return parseGallery(
      (await this.#connection.unary(admin.createGallery, formatCreateGallery(request), request)).gallery,
    );
  }

  async getGallery(request: { readonly gallery: string } & CallOptions): Promise<Gallery> {
    return parseGallery(
      (await this.#connection.repeatable(admin.getGallery, { gallery: request.gallery }, request)).gallery,
    );
  }

  async listGalleries(options: CallOptions = {}): Promise<readonly Gallery[]> {
    return (await this.#connection.repeatable(admin.listGalleries, {}, options)).galleries.map(parseGallery);
  }

  async updateGallery(request: UpdateGalleryRequest): Promise<Gallery> {
    return parseGallery(
      (await this.#connection.unary(admin.updateGallery, formatUpdateGallery(request), request)).gallery,
    );
  }

  async deleteGallery(request: { readonly gallery: string } & CallOptions): Promise<boolean> {
    return (await this.#connection.unary(admin.deleteGallery, { gallery: request.gallery }, request)).existed;
  }

  // ── Enrolment ──────────────────────────────────────────────────────────────────────────────────────────────────────

  async enroll(request: EnrollRequest): Promise<EnrollAnswer> {
    const message = formatEnroll(request);
    const answer = await (request.idempotencyKey === undefined
      ? this.#connection.unary(service.enroll, message, request)
      : this.#connection.repeatable(service.enroll, message, request));
    return parseEnrollAnswer(answer);
  }

  async *importAll(
    items: AsyncIterable<EnrollRequest> | Iterable<EnrollRequest>,
    options: CallOptions = {},
  ): AsyncGenerator<ImportResult, void, void> {
    const sent = new SentItems(items, formatEnroll);
    for await (const response of this.#connection.bidirectional(service.import, importRequests(sent), options)) {
      const { index } = response;
      const unsent = sent.takeUnsent(index);
      yield unsent ? { index, identity: unsent.item.identity, error: unsent.error } : parseImportResult(response);
    }
  }

  // ── Identification and verification ────────────────────────────────────────────────────────────────────────────────

  async identify(request: IdentifyRequest): Promise<Identification> {
    const { identifications } = await this.#connection.repeatable(service.identify, formatIdentify(request), request);
    return parseIdentification(present(identifications[0], 'identifications'));
  }

  async identifyFaces(request: IdentifyFacesRequest): Promise<readonly Identification[]> {
    const { identifications } = await this.#connection.repeatable(
      service.identify,
      formatIdentifyFaces(request),
      request,
    );
    return identifications.map(parseIdentification);
  }

  /**
   * Searches camera frames as they come. While one is in work only the newest that arrives is kept; the others are dropped and
   * counted. The last frame is always answered. With `reconnect` it goes on when the server comes back: what was captured meanwhile is dropped and
   * counted, too. @throws UNAVAILABLE, without it, when the server drains or is gone
   */
  identifyStream(
    frames: AsyncIterable<Frame> | Iterable<Frame>,
    options: FrameStreamOptions = {},
  ): AsyncGenerator<FrameAnswer, void, void> {
    return identifyFrames(this.#connection, frames, options);
  }

  async verify(request: VerifyRequest): Promise<Verification> {
    return parseVerification(await this.#connection.repeatable(service.verify, formatVerify(request), request));
  }

  async embed(request: EmbedRequest): Promise<EmbedAnswer> {
    return parseEmbedAnswer(await this.#connection.repeatable(service.embed, formatEmbed(request), request));
  }

  // ── Identities ─────────────────────────────────────────────────────────────────────────────────────────────────────

  async getIdentity(request: IdentityRef): Promise<Identity> {
    const { gallery, identity } = request;
    return parseIdentity(
      (await this.#connection.repeatable(service.getIdentity, { gallery, identity }, request)).identity,
    );
  }

  async listIdentities(request: ListIdentitiesRequest = {}): Promise<IdentityPage> {
    const page = await this.#connection.repeatable(service.listIdentities, formatList(request), request);
    const identities = page.identities.map(parseIdentity);
    return page.nextPageToken === undefined ? { identities } : { identities, nextPageToken: page.nextPageToken };
  }

  async updateIdentity(request: UpdateIdentityRequest): Promise<Identity> {
    return parseIdentity(
      (await this.#connection.unary(service.updateIdentity, formatUpdateIdentity(request), request)).identity,
    );
  }

  async removeTemplate(request: RemoveTemplateRequest): Promise<Identity> {
    const { gallery, identity, template } = request;
    return parseIdentity(
      (await this.#connection.unary(service.removeTemplate, { gallery, identity, template }, request)).identity,
    );
  }

  async eraseIdentity(request: EraseRequest): Promise<EraseAnswer> {
    const { gallery, identity, prove = false } = request;
    return parseErasure(await this.#connection.unary(service.eraseIdentity, { gallery, identity, prove }, request));
  }

  // ── Operations ─────────────────────────────────────────────────────────────────────────────────────────────────────

  async *exportTemplates(
    request: { readonly gallery?: string | undefined } & CallOptions = {},
  ): AsyncGenerator<ExportedTemplate, void, void> {
    const answers = this.#connection.serverStream(admin.exportTemplates, { gallery: request.gallery }, request);
    for await (const exported of answers) yield parseExported(exported);
  }

  async *importTemplates(
    items: AsyncIterable<ExportedTemplate> | Iterable<ExportedTemplate>,
    options: ImportTemplatesOptions = {},
  ): AsyncGenerator<TemplateImportResult, void, void> {
    // Its number is of the gallery that it comes from; here it gets a new one.
    const sent = new SentItems(items, (item: ExportedTemplate) =>
      formatExported({ ...item, template: { ...item.template, template: 0 } }),
    );
    const requests = templateRequests(sent, formatImportOptions(options));
    for await (const response of this.#connection.bidirectional(admin.importTemplates, requests, options)) {
      const { index } = response;
      const unsent = sent.takeUnsent(index);
      yield unsent ? { index, identity: unsent.item.identity, error: unsent.error } : parseImportedTemplate(response);
    }
  }

  async *backup(options: CallOptions = {}): AsyncGenerator<Uint8Array, void, void> {
    for await (const { chunk } of this.#connection.serverStream(admin.backup, {}, options)) yield chunk;
  }

  async *check(request: CheckRequest = {}): AsyncGenerator<Finding, CheckCounts, void> {
    const { records, searches } = request;
    for await (const { part } of this.#connection.serverStream(admin.check, { records, searches }, request)) {
      const { $case, value } = present(part, 'part');
      if ($case === 'counts') return value;
      yield parseFinding(value);
    }
    return present<CheckCounts>(undefined, 'counts');
  }

  async info(options: CallOptions = {}): Promise<ServerInfo> {
    const info = await this.#connection.repeatable(admin.getInfo, {}, options);
    return {
      version: info.version,
      startedAt: present(info.startedAt, 'started_at'),
      embedder: info.embedder ? parseEmbedderInfo(info.embedder) : null,
      limits: present(info.limits, 'limits'),
    };
  }

  async stats(options: CallOptions = {}): Promise<Stats> {
    return parseStats(await this.#connection.repeatable(admin.getStats, {}, options));
  }

  /** Nothing is told on the way. */
  async calibrate(request: CalibrateRequest = {}): Promise<CalibrateAnswer> {
    return parseCalibrateAnswer(await this.#connection.patient(admin.calibrate, formatCalibrate(request), request));
  }

  async getCalibration(request: CalibrationRef = {}): Promise<Calibration | null> {
    const { gallery, space } = request;
    const { calibration } = await this.#connection.repeatable(admin.getCalibration, { gallery, space }, request);
    return parseCalibration(calibration);
  }

  async checkpoint(request: { readonly gallery?: string | undefined } & CallOptions = {}): Promise<void> {
    await this.#connection.unary(admin.checkpoint, { gallery: request.gallery }, request);
  }

  async close(): Promise<void> {
    this.#connection.close();
  }
}

async function* importRequests(items: AsyncIterable<ImportRequest['item']>): AsyncGenerator<ImportRequest, void, void> {
  for await (const item of items) yield { item };
}

async function* templateRequests(
  items: AsyncIterable<WireExportedTemplate | undefined>,
  options: WireImportOptions,
): AsyncGenerator<ImportTemplatesRequest, void, void> {
  yield { part: { $case: 'options', value: options } };
  for await (const item of items) yield { part: item && { $case: 'item', value: item } };
}
