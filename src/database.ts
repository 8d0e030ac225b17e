/**
 * The embedded database: the identity index and an embedder under one roof.
 *
 * `openDatabase` is the library's front door, and the gRPC server is a thin skin over what it returns. Nothing is decided here
 * that the index or the embedder could decide alone: this file turns samples into vectors, applies the enrolment policy to
 * faces, and passes both on. An enrolment writes all of its samples or none.
 */
import { memoryUsage } from 'node:process';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { join } from 'node:path';
import {
  Admission,
  defaultAdmissionLimits,
  type AdmissionLimits,
  type Admittance,
  type Priority,
} from './admission.js';
import { importItems } from './import-stream.js';
import { eachSample } from './sample-turns.js';
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
  type GallerySettings,
  type Identification,
  type Identity,
  type IdentityPage,
  type IdentityRef,
  type IdentifyFacesRequest,
  type IdentifyRequest,
  type ImportResult,
  type ImportTemplatesOptions,
  type ListIdentitiesRequest,
  type RemoveTemplateRequest,
  type Rollouts,
  type Sample,
  type Stage,
  type Stats,
  type TemplateImportResult,
  type UpdateGalleryRequest,
  type UpdateIdentityRequest,
  type Verification,
  type VerifyRequest,
} from './api.js';
import type { Embedder, EmbedTimings } from './embedder/embedder.js';
import { EmbedderSet } from './embedder/embedder-set.js';
import { qualityReasons } from './embedder/face.js';
import type { OnnxEmbedderOptions } from './embedder/onnx-embedder.js';
import { HarmonidError, isHarmonidError, throwIfAborted } from './errors.js';
import {
  openIdentityIndex,
  warnProcess,
  type IdentityIndex,
  type IdentityIndexOptions,
  type TemplateDraft,
} from './index/identity-index.js';
import type { LaneVector } from './index/index-api.js';
import type { Gallery as GalleryRecord } from './index/records.js';
import {
  embedderFor,
  embedSample,
  makeProbe,
  refuseAttack,
  refuseByQuality,
  requireEmbedder,
  requirePresentation,
  requirePresentationIn,
  type Probe,
  type ProbeOptions,
} from './probe.js';
import {
  parseBytes,
  parseEnrollment,
  parseExpectedVersion,
  parseFaceChoice,
  parseGalleryDraft,
  parseGalleryName,
  parseGalleryChange,
  parseGroups,
  parseAttributes,
  parseIdentityId,
  parseLabel,
  parsePageSize,
  parseSample,
  parseSearch,
  parseTemplateNumber,
  parseThreshold,
  sha256,
  type ParsedSearch,
} from './requests.js';
import type { SeenSample } from './migrate/door.js';
import type { FaceImage } from './migrate/two-models.js';
import { openRollouts, type OpenRollouts } from './migrate/open-rollouts.js';
import { calibrationCallsOf, type CalibrationCalls } from './calibration-requests.js';
import { Calibrations } from './calibration/calibrations.js';
import { fpirWithin } from './calibration/impostor-curve.js';
import { rolloutsOf } from './rollout-requests.js';
import { importTemplates, type ParsedTemplate } from './template-import.js';
import { parseVector } from './vector.js';
import { version } from './version.js';

export type * from './api.js';
export {
  checkDirectory,
  repairDirectory,
  rotateMasterKey,
  type DirectoryQuestion,
  type EncryptionOptions,
  type RepairCounts,
  type RepairQuestion,
} from './index/identity-index.js';
export type { BackupSummary } from './index/backup-reader.js';
export { verifyBackup } from './index/backup-reader.js';
export { restoreDatabase, type RestoreOptions } from './index/restore.js';
export { errorCodes, HarmonidError, isHarmonidError, type ErrorCode, type ErrorDetails } from './errors.js';

export interface DatabaseOptions extends IdentityIndexOptions {
  /**
   * How images become vectors: an open embedder (closed with the database), options for the built-in one, or `false` for a
   * database of vectors only. Default: the default model pack on the CPU or a GPU that starts (`provider: 'auto'`).
   */
  readonly embedder?: Embedder | Partial<OnnxEmbedderOptions> | false | undefined;
  /** Enrolments that an import works on at the same time, 1 to 256. Larger fills batches better and holds more images. Default 16. */
  readonly importConcurrency?: number | undefined;
  /** Told how long each stage of an image, a search or a write took, waiting for it included, milliseconds. Must not throw. */
  readonly onStage?: StageListener | undefined;
  /** How many images, searches and writes are worked on at a time, and how many may wait. Default: `defaultAdmissionLimits`. */
  readonly admission?: Partial<AdmissionLimits> | undefined;
}

export type StageListener = (stage: Stage, ms: number) => void;

/**
 * Opens (and makes, when absent) the database in a directory.
 * @throws DATA_LOCKED, DATA_READ_ONLY, DATA_FORMAT_NEWER, DATA_CORRUPT, DISK_FULL, MODEL_NOT_FOUND, MODEL_INVALID, PROVIDER_UNAVAILABLE
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  // What is open when the rest does not open is closed again, the newest first.
  const opened: { close(): Promise<void> }[] = [];
  try {
    const index = await openIdentityIndex(options);
    opened.unshift(index);
    const embedders = new EmbedderSet(await openEmbedder(options), packOpener(options));
    // An embedder that came open is its owner's until the database is.
    if (!isOpenEmbedder(options.embedder)) opened.unshift(embedders);
    const { clock = Date.now, onWarning = warnProcess, readOnly = false } = options;
    const rollouts = openRollouts({ index, embedders, clock, onWarning });
    opened.unshift(rollouts);
    if (!readOnly) await rollouts.begin();
    const calibrations = new Calibrations({ index, clock, onWarning });
    return new EmbeddedDatabase({ index, embedders, rollouts, calibrations }, options);
  } catch (error) {
    for (const part of opened) await part.close();
    throw error;
  }
}

function isOpenEmbedder(embedder: DatabaseOptions['embedder']): embedder is Embedder {
  return typeof embedder === 'object' && 'embedImage' in embedder;
}

/** Other packs than the main one run where that does, unless it came open. */
function packOpener({ embedder, path }: DatabaseOptions): ((pack: string) => Promise<Embedder>) | null {
  if (embedder === false) return null;
  const options = isOpenEmbedder(embedder) ? {} : embedder;
  return async (pack) => {
    const { openOnnxEmbedder } = await import('./embedder/onnx-embedder.js');
    return openOnnxEmbedder({ modelsPath: join(path, 'models'), ...options, detector: undefined, pack });
  };
}

async function openEmbedder({ embedder, path }: DatabaseOptions): Promise<Embedder | null> {
  if (embedder === false) return null;
  if (isOpenEmbedder(embedder)) return embedder;
  // Loaded when it is wanted: a database of vectors needs no inference engine.
  const { openOnnxEmbedder } = await import('./embedder/onnx-embedder.js');
  return openOnnxEmbedder({ modelsPath: join(path, 'models'), ...embedder });
}

/** A sample as the door of a rollout sees it. @param image that it came from; several faces of one have the same object */
function seen({ space, vector, face }: Probe, image: FaceImage | null): SeenSample {
  const isGood = face !== null && face.quality.reasons.length === 0;
  return { space, vector, box: face?.box ?? null, image, isGood };
}

function imageOf({ image, alignedCrop }: Sample): FaceImage | null {
  const crop = alignedCrop && ({ bytes: alignedCrop, alignment: 'chip' } as const);
  return image || crop ? { image, crop } : null;
}

interface OpenParts {
  readonly index: IdentityIndex;
  readonly embedders: EmbedderSet;
  readonly rollouts: OpenRollouts;
  readonly calibrations: Calibrations;
}

class EmbeddedDatabase implements Database {
  readonly #index: IdentityIndex;
  readonly rollouts: Rollouts;
  readonly #embedders: EmbedderSet;
  readonly #opened: OpenRollouts;
  readonly #calibrations: Calibrations;
  readonly #calibrationCalls: CalibrationCalls;
  readonly #importConcurrency: number;
  readonly #onStage: StageListener | undefined;
  readonly #admission: Admission;
  readonly #startedAt = new Date();
  #closing: Promise<void> | undefined;

  constructor(
    { index, embedders, rollouts, calibrations }: OpenParts,
    { importConcurrency, onStage, admission }: DatabaseOptions,
  ) {
    this.#index = index;
    this.#embedders = embedders;
    this.#opened = rollouts;
    this.rollouts = rolloutsOf(rollouts.steps, (options) => this.#check(options));
    this.#calibrations = calibrations;
    this.#calibrationCalls = calibrationCallsOf(calibrations, index, (options) => this.#check(options));
    this.#importConcurrency = importConcurrency ?? 16;
    this.#onStage = onStage;
    this.#admission = new Admission({ ...defaultAdmissionLimits, ...admission });
  }

  /** The one that the database was opened with. */
  get #embedder(): Embedder | null {
    return this.#embedders.main;
  }

  // ── Galleries ──────────────────────────────────────────────────────────────────────────────────────────────────────

  async createGallery(request: CreateGalleryRequest): Promise<Gallery> {
    this.#check(request);
    const draft = parseGalleryDraft(request, this.#embedder?.info ?? null);
    await requirePresentationIn(this.#embedders, draft, [draft.space]);
    return asGallery(await this.#index.createGallery(draft));
  }

  async getGallery(request: { readonly gallery: string } & CallOptions): Promise<Gallery> {
    this.#check(request);
    return asGallery(this.#index.getGallery(parseGalleryName(request.gallery)));
  }

  async listGalleries(options: CallOptions = {}): Promise<readonly Gallery[]> {
    this.#check(options);
    return this.#index.listGalleries().map(asGallery);
  }

  async updateGallery(request: UpdateGalleryRequest): Promise<Gallery> {
    this.#check(request);
    const { gallery, space, beside } = this.#index.getGallery(parseGalleryName(request.gallery));
    const change = parseGalleryChange(request);
    const { presentation } = change;
    await requirePresentationIn(this.#embedders, { gallery, presentation }, beside ? [space, beside.space] : [space]);
    await this.#index.updateGallery(gallery, change);
    // A target is in force from now on, where the gallery is calibrated.
    if (change.fpirTarget !== undefined) await this.#calibrations.apply(gallery);
    return asGallery(this.#index.getGallery(gallery));
  }

  async deleteGallery(request: { readonly gallery: string } & CallOptions): Promise<boolean> {
    this.#check(request);
    return this.#index.deleteGallery(parseGalleryName(request.gallery));
  }

  // ── Enrolment ──────────────────────────────────────────────────────────────────────────────────────────────────────

  async enroll(request: EnrollRequest): Promise<EnrollAnswer> {
    return this.#enroll(request, { unlessErased: false, priority: 'live' });
  }

  async #enroll(
    request: EnrollRequest,
    { unlessErased, priority }: { readonly unlessErased: boolean; readonly priority: Priority },
  ): Promise<EnrollAnswer> {
    this.#check(request);
    const turn = turnOf(request);
    const parsed = parseEnrollment(request);
    const gallery = await this.#galleryToEnroll(request.gallery);
    const name = gallery.gallery;
    const answered = parsed.idempotency && (await this.#index.findEnrolment(name, parsed.idempotency));
    if (answered) return { gallery: name, identity: parsed.identity, faces: [], ...answered };

    const refuse = parsed.refuseReasons ?? asGallery(gallery).refuseReasons;
    const probes = await eachSample(parsed.samples, async (sample) => {
      const wanted = { faces: parsed.faces, signal: request.signal };
      const probe = await this.#probe(gallery, sample, wanted, { ...turn, priority });
      refuseByQuality(probe, refuse);
      // A lane may have been opened while the image was embedded.
      const beside = await this.#opened.door.beside(this.#index.getGallery(name), seen(probe, imageOf(sample)));
      return { ...probe, beside };
    });
    const templates = probes.map((probe, i): TemplateDraft => {
      const bytes = parsed.samples[i]?.image ?? parsed.samples[i]?.alignedCrop;
      return {
        vector: probe.vector,
        space: probe.space,
        origin: 'native',
        beside: probe.beside,
        quality: probe.face?.quality.score ?? null,
        imageDigest: bytes ? sha256(bytes) : null,
      };
    });
    throwIfAborted(request.signal);
    const writtenMs = performance.now();
    const enrolment = await this.#admission.run('write', { ...turn, priority }, () =>
      this.#index.enroll({
        gallery: name,
        identity: parsed.identity,
        label: parsed.label,
        groups: parsed.groups,
        attributes: parsed.attributes,
        templates,
        duplicates: parsed.duplicates,
        unlessErased,
        idempotency: parsed.idempotency,
        signal: request.signal,
      }),
    );
    this.#onStage?.('write', performance.now() - writtenMs);
    this.#calibrations.grown(name);
    return { gallery: name, identity: parsed.identity, faces: probes.flatMap(({ face }) => face ?? []), ...enrolment };
  }

  importAll(
    items: AsyncIterable<EnrollRequest> | Iterable<EnrollRequest>,
    options: CallOptions = {},
  ): AsyncIterable<ImportResult> {
    this.#check(options);
    return importItems((request) => this.#enroll(request, { unlessErased: true, priority: 'bulk' }), items, {
      concurrency: this.#importConcurrency,
      signal: options.signal,
    });
  }

  importTemplates(
    items: AsyncIterable<ExportedTemplate> | Iterable<ExportedTemplate>,
    options: ImportTemplatesOptions = {},
  ): AsyncIterable<TemplateImportResult> {
    this.#check(options);
    const galleryFor = (template: ParsedTemplate): Promise<GalleryRecord> =>
      this.#galleryForTemplate(template, options.createGallery);
    const besideFor = (gallery: GalleryRecord, { space, vector }: Pick<LaneVector, 'space' | 'vector'>) =>
      this.#opened.door.beside(gallery, { space, vector, box: null, image: null, isGood: false });
    const grown = (gallery: string): void => this.#calibrations.grown(gallery);
    return importTemplates({ index: this.#index, galleryFor, besideFor, grown }, items, options);
  }

  // ── Identification and verification ────────────────────────────────────────────────────────────────────────────────

  async identify(request: IdentifyRequest): Promise<Identification> {
    this.#check(request);
    const startedMs = performance.now();
    const search = parseSearch(request);
    const sample = parseSample(request);
    const faces = parseFaceChoice(request.faces);
    return this.#inItsSpace(request.gallery, async (gallery) => {
      const space = this.#spaceFor(gallery, search);
      const { sample: own, threshold, isBridged } = await this.#bridged(gallery, sample, search.threshold);
      const turn = turnOf(request);
      const probe = await this.#probe(gallery, own, { faces, space, signal: request.signal }, turn);
      const wanted = { ...search, threshold, isBridged };
      return this.#search(gallery, probe, imageOf(own), wanted, turn, startedMs);
    });
  }

  /** A vector that its gallery is only being moved to, as the gallery can compare it; see `Door.bridge`. */
  async #bridged(
    gallery: GalleryRecord,
    sample: Sample,
    threshold: number | undefined,
  ): Promise<{ readonly sample: Sample; readonly threshold: number | undefined; readonly isBridged: boolean }> {
    const { beside } = gallery;
    const { embedding } = sample;
    const asItIs = { sample, threshold, isBridged: false };
    if (!embedding || embedding.space !== beside?.space) return asItIs;
    const vector = parseVector(embedding.vector, beside.dimensions, `space "${beside.space}"`);
    const bridged = await this.#opened.door.bridge(gallery, { space: beside.space, vector });
    if (!bridged) return asItIs;
    return { sample: { embedding: bridged }, threshold: threshold ?? bridged.threshold, isBridged: true };
  }

  /** A rollout may change the spaces of a gallery while a sample is embedded: then it is embedded again. */
  async #inItsSpace<T>(name: string | undefined, work: (gallery: GalleryRecord) => Promise<T>): Promise<T> {
    for (;;) {
      const gallery = this.#gallery(name);
      try {
        return await work(gallery);
      } catch (error) {
        const { space, beside } = this.#gallery(name);
        const hasMoved = space !== gallery.space || beside?.space !== gallery.beside?.space;
        if (!hasMoved || !isHarmonidError(error) || error.code !== 'SPACE_MISMATCH') throw error;
      }
    }
  }

  async identifyFaces(request: IdentifyFacesRequest): Promise<readonly Identification[]> {
    this.#check(request);
    const startedMs = performance.now();
    const search = parseSearch(request);
    const image = parseBytes(request.image, 'image');
    const photo: FaceImage = { image };
    return this.#inItsSpace(request.gallery, async (gallery) => {
      const space = this.#spaceFor(gallery, search);
      const embedder = await embedderFor(this.#embedders, gallery, space);
      requirePresentation(gallery, embedder);
      const turn = turnOf(request);
      const { faces, timings } = await this.#admission.run('image', turn, () =>
        embedder.embedImage(image, { signal: request.signal }),
      );
      this.#embedded(timings);
      for (const { face } of faces) refuseAttack(gallery, embedder, face);
      return Promise.all(
        faces.map(({ face, vector }) =>
          this.#search(
            gallery,
            { space, vector, face, timings },
            photo,
            { ...search, isBridged: false },
            turn,
            startedMs,
          ),
        ),
      );
    });
  }

  async verify(request: VerifyRequest): Promise<Verification> {
    this.#check(request);
    const startedMs = performance.now();
    const identity = parseIdentityId(request.identity);
    const wanted = parseThreshold(request.threshold);
    const sample = parseSample(request);
    const faces = parseFaceChoice(request.faces);
    return this.#inItsSpace(request.gallery, async ({ gallery }) => {
      // An unknown person is told before the image is worked on.
      this.#index.getIdentity(gallery, identity);
      const now = this.#gallery(gallery);
      const { sample: own, threshold, isBridged } = await this.#bridged(now, sample, wanted);
      const probe = await this.#probe(now, own, { faces, signal: request.signal }, turnOf(request));
      const searchedMs = performance.now();
      const { space, vector } = probe;
      const fused =
        wanted === undefined ? await this.#opened.door.verifyFused(now, seen(probe, imageOf(own)), identity) : null;
      const target = threshold ?? this.#calibrations.verificationThreshold(now, space);
      const answer = fused ?? this.#index.verify({ gallery, space, identity, probe: vector, threshold: target });
      // A rollout that judges by distances of its own has rates of its own.
      const calibration = fused || isBridged ? null : this.#calibrations.find(gallery, space);
      const endedMs = performance.now();
      this.#onStage?.('search', endedMs - searchedMs);
      return {
        gallery,
        space,
        identity,
        ...answer,
        fmr: calibration && fpirWithin(calibration.curve, answer.distance, 1),
        face: probe.face,
        timings: { ...probe.timings, searchMs: endedMs - searchedMs, totalMs: endedMs - startedMs },
      };
    });
  }

  async embed(request: EmbedRequest): Promise<EmbedAnswer> {
    this.#check(request);
    const embedder = requireEmbedder(this.#embedder);
    const sample = parseSample(request);
    const embedded = await this.#admission.run('image', turnOf(request), () =>
      embedSample(this.#embedder, sample, request.signal),
    );
    this.#embedded(embedded.timings);
    return {
      width: embedded.width,
      height: embedded.height,
      faces: embedded.faces.map(({ face, vector }) => ({ face, embedding: { space: embedder.info.space, vector } })),
      timings: embedded.timings,
    };
  }

  // ── Identities ─────────────────────────────────────────────────────────────────────────────────────────────────────

  async getIdentity(request: IdentityRef): Promise<Identity> {
    this.#check(request);
    return this.#index.getIdentity(galleryName(request.gallery), parseIdentityId(request.identity));
  }

  async listIdentities(request: ListIdentitiesRequest = {}): Promise<IdentityPage> {
    this.#check(request);
    const limit = parsePageSize(request.pageSize);
    const identities = this.#index.listIdentities({
      gallery: galleryName(request.gallery),
      after: request.pageToken === undefined ? undefined : parsePageToken(request.pageToken),
      limit: limit + 1,
      groups: parseGroups(request.groups),
    });
    const last = identities[limit - 1];
    if (identities.length <= limit || last === undefined) return { identities };
    return { identities: identities.slice(0, limit), nextPageToken: Buffer.from(last.identity).toString('base64url') };
  }

  async updateIdentity(request: UpdateIdentityRequest): Promise<Identity> {
    this.#check(request);
    return this.#index.updateIdentity({
      gallery: galleryName(request.gallery),
      identity: parseIdentityId(request.identity),
      label: parseLabel(request.label),
      groups: parseGroups(request.groups),
      attributes: parseAttributes(request.attributes),
      expectedVersion: parseExpectedVersion(request.expectedVersion),
    });
  }

  async removeTemplate(request: RemoveTemplateRequest): Promise<Identity> {
    this.#check(request);
    return this.#index.removeTemplate(
      galleryName(request.gallery),
      parseIdentityId(request.identity),
      parseTemplateNumber(request.template),
    );
  }

  async eraseIdentity(request: EraseRequest): Promise<EraseAnswer> {
    this.#check(request);
    return this.#index.eraseIdentity(galleryName(request.gallery), parseIdentityId(request.identity), {
      prove: request.prove,
    });
  }

  // ── Operations ─────────────────────────────────────────────────────────────────────────────────────────────────────

  async *exportTemplates(
    request: { readonly gallery?: string | undefined } & CallOptions = {},
  ): AsyncIterable<ExportedTemplate> {
    this.#check(request);
    const gallery = galleryName(request.gallery);
    let sinceTurn = 0;
    for (const { identity, template, vector } of this.#index.exportTemplates(gallery)) {
      throwIfAborted(request.signal);
      yield {
        gallery,
        identity: identity.identity,
        label: identity.label,
        groups: identity.groups,
        attributes: identity.attributes,
        template,
        embedding: { space: template.space, vector },
      };
      // Reading is synchronous; others get their turn.
      if (++sinceTurn % 64 === 0) await nextTurn();
    }
  }

  backup(options: CallOptions = {}): AsyncIterable<Uint8Array> {
    this.#check(options);
    return this.#index.backup({ product: version, signal: options.signal });
  }

  check(request: CheckRequest = {}): AsyncGenerator<Finding, CheckCounts, void> {
    this.#check(request);
    return this.#index.check(request);
  }

  async stats(options: CallOptions = {}): Promise<Stats> {
    this.#check(options);
    return {
      version,
      startedAt: this.#startedAt,
      lanes: this.#admission.stats(),
      embedder: this.#embedder && { info: this.#embedder.info, stats: this.#embedder.stats() },
      galleries: await this.#index.stats(),
      search: this.#index.searchStats(),
      residentBytes: memoryUsage.rss(),
      storeBytes: this.#index.storeBytes(),
    };
  }

  calibrate(request?: CalibrateRequest): Promise<CalibrateAnswer> {
    return this.#calibrationCalls.calibrate(request);
  }

  getCalibration(request?: CalibrationRef): Promise<Calibration | null> {
    return this.#calibrationCalls.getCalibration(request);
  }

  async checkpoint(request: { readonly gallery?: string | undefined } & CallOptions = {}): Promise<void> {
    this.#check(request);
    await this.#index.checkpoint(request.gallery === undefined ? undefined : parseGalleryName(request.gallery));
  }

  async close(): Promise<void> {
    this.#closing ??= (async () => {
      await this.#calibrations.close();
      await this.#opened.close();
      await this.#embedders.close();
      await this.#index.close();
    })();
    return this.#closing;
  }

  // ── Inside ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  #check(options: CallOptions): void {
    if (this.#closing) throw new HarmonidError('CLOSED', 'the database is closed');
    throwIfAborted(options.signal);
  }

  /** A vector takes no turn: there is nothing to compute. */
  async #probe(gallery: GalleryRecord, sample: Sample, wanted: ProbeOptions, turn: Admittance): Promise<Probe> {
    const make = (): Promise<Probe> => makeProbe(this.#embedders, gallery, sample, wanted);
    if (sample.embedding) return make();
    const probe = await this.#admission.run('image', turn, make);
    this.#embedded(probe.timings);
    return probe;
  }

  /** Stages that a sample did not go through took no time. */
  #embedded({ decodeMs, detectMs, alignMs, embedMs }: EmbedTimings): void {
    const took = { decode: decodeMs, detect: detectMs, align: alignMs, embed: embedMs };
    for (const stage of ['decode', 'detect', 'align', 'embed'] as const) {
      if (took[stage] > 0) this.#onStage?.(stage, took[stage]);
    }
  }

  #gallery(name: string | undefined): GalleryRecord {
    return this.#index.getGallery(galleryName(name));
  }

  /** The default gallery makes itself at the first enrolment; every other one is made by name, so that a typing error is told. */
  async #galleryToEnroll(name: string | undefined): Promise<GalleryRecord> {
    const parsed = galleryName(name);
    const found = this.#index.findGallery(parsed);
    if (found) return found;
    if (parsed !== defaultGallery || !this.#embedder) return this.#index.getGallery(parsed);
    try {
      return await this.createGallery({ gallery: parsed });
    } catch (error) {
      // Two first enrolments at once: the other one made it.
      if (isHarmonidError(error) && error.code === 'GALLERY_EXISTS') return this.#index.getGallery(parsed);
      throw error;
    }
  }

  /** As for an enrolment; with `settings` every gallery makes itself. */
  async #galleryForTemplate(
    { gallery, space, dimensions }: ParsedTemplate,
    settings: GallerySettings | undefined,
  ): Promise<GalleryRecord> {
    const found = this.#index.findGallery(gallery);
    if (found) return found;
    const makesItself = gallery === defaultGallery && space === this.#embedder?.info.space;
    if (!settings && !makesItself) return this.#index.getGallery(gallery);
    return this.createGallery({ ...settings, gallery, space, dimensions });
  }

  /** The space that answers an image probe. A caller's own threshold is of the gallery's distances, so it is never judged by the other ones. */
  #spaceFor(gallery: GalleryRecord, { threshold, groups }: ParsedSearch): string {
    return threshold === undefined ? this.#opened.door.spaceFor(gallery, groups) : gallery.space;
  }

  /** The answer, and, beside it, what a rollout does with a live probe. */
  async #search(
    gallery: GalleryRecord,
    probe: Probe,
    image: FaceImage | null,
    { isBridged, ...search }: ParsedSearch & { readonly isBridged: boolean },
    turn: Admittance,
    startedMs: number,
  ): Promise<Identification> {
    const { signal } = turn;
    throwIfAborted(signal);
    const searchedMs = performance.now();
    const wanted = { gallery: gallery.gallery, ...search, signal };
    const { door } = this.#opened;
    const sample = seen(probe, image);
    const fused = search.threshold === undefined ? await door.searchFused(gallery, sample, wanted) : null;
    const threshold = search.threshold ?? this.#calibrations.searchThreshold(gallery, probe.space);
    const { identityCount, ...answer } =
      fused ??
      (await this.#admission.run('search', turn, () =>
        this.#index.search({ ...wanted, threshold, space: probe.space, probe: probe.vector }),
      ));
    const endedMs = performance.now();
    this.#onStage?.('search', endedMs - searchedMs);
    const [nearest] = answer.candidates;
    // A rollout that judges by distances of its own has rates of its own.
    const calibration = fused || isBridged || !nearest ? null : this.#calibrations.find(gallery.gallery, probe.space);
    door.compare(gallery, sample, answer.decision === 'match' ? (answer.candidates[0]?.identity ?? null) : null);
    return {
      gallery: gallery.gallery,
      space: probe.space,
      ...answer,
      fpir: calibration && nearest ? fpirWithin(calibration.curve, nearest.distance, identityCount) : null,
      face: probe.face,
      timings: { ...probe.timings, searchMs: endedMs - searchedMs, totalMs: endedMs - startedMs },
    };
  }
}

function turnOf({ signal, deadlineAt }: CallOptions): Admittance {
  return { signal, deadlineAt };
}

function galleryName(name: string | undefined): string {
  return parseGalleryName(name ?? defaultGallery);
}

function parsePageToken(token: string): string {
  const identity = Buffer.from(token, 'base64url').toString();
  if (Buffer.from(identity).toString('base64url') !== token) {
    throw new HarmonidError('INVALID_ARGUMENT', 'pageToken was not made by listIdentities');
  }
  return parseIdentityId(identity);
}

/** The index keeps reasons as plain strings; only known ones were ever written. */
function asGallery(record: GalleryRecord): Gallery {
  return {
    ...record,
    // The caller's own.
    createdAt: new Date(record.createdAt),
    refuseReasons: qualityReasons.filter((reason) => record.refuseReasons.includes(reason)),
  };
}
