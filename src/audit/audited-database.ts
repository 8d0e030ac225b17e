/**
 * A Database that leaves a trace: every enrolment, decision, erasure, export, change of a gallery and step of a rollout, with who asked for it.
 *
 * Promises: a decision is given only after its entry is written. Whatever writes has an entry `begun` before it begins and one with its outcome after, so that nothing is done that is not on
 * record, also when the disk fills in between; the answer of what is done is then given nevertheless. Reads of people and galleries are not recorded. Entries hold names,
 * distances and numbers: no image, no vector.
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
  type Rollout,
  type Rollouts,
  type Stats,
  type TemplateImportResult,
  type UpdateGalleryRequest,
  type UpdateIdentityRequest,
  type Verification,
  type VerifyRequest,
} from '../api.js';
import type { AuditFacts } from './audit-line.js';
import { recordedImport } from './recorded-import.js';
import { Recorder, type Asker, type AuditSink, type Subject } from './recorder.js';

/** @param afterClose what else ends with the database */
export function audited(
  database: Database,
  sink: AuditSink,
  asker: Asker,
  afterClose: () => Promise<void> = async () => undefined,
): Database {
  return new AuditedDatabase(database, new Recorder(sink, asker), afterClose);
}

function nameOf({ gallery }: { readonly gallery?: string | undefined }): string {
  return gallery ?? defaultGallery;
}

function samplesOf({ images, alignedCrops, embeddings }: EnrollRequest): AuditFacts {
  return { samples: (images?.length ?? 0) + (alignedCrops?.length ?? 0) + (embeddings?.length ?? 0) };
}

function enrolled({ created, templates, duplicates, replayed, sequence }: EnrollAnswer): AuditFacts {
  return {
    created,
    templates: templates.map(({ template }) => template),
    space: templates[0]?.space ?? null,
    ...(duplicates.length > 0 && { duplicates: duplicates.map(({ identity, distance }) => ({ identity, distance })) }),
    ...(replayed && { replayed }),
    sequence,
  };
}

function decided({ decision, candidates, threshold, fpir, margin, space }: Identification): AuditFacts {
  const [best] = candidates;
  const [candidate, distance] = [best?.identity ?? null, best?.distance ?? null];
  return { decision, candidate, distance, threshold, fpir, margin, space };
}

class AuditedDatabase implements Database {
  readonly #database: Database;
  readonly #recorder: Recorder;
  readonly #afterClose: () => Promise<void>;

  constructor(database: Database, recorder: Recorder, afterClose: () => Promise<void>) {
    this.#database = database;
    this.#afterClose = afterClose;
    this.#recorder = recorder;
  }

  /** Made for those who want it: a database is made for each call. */
  get rollouts(): Rollouts {
    return auditedRollouts(this.#database.rollouts, this.#recorder);
  }

  // ── Decisions ──────────────────────────────────────────────────────────────────────────────────────────────────────

  identify(request: IdentifyRequest): Promise<Identification> {
    const subject = { action: 'identify', gallery: nameOf(request) } as const;
    return this.#recorder.decision(subject, () => this.#database.identify(request), decided);
  }

  identifyFaces(request: IdentifyFacesRequest): Promise<readonly Identification[]> {
    const subject = { action: 'identify', gallery: nameOf(request) } as const;
    return this.#recorder.decision(
      subject,
      () => this.#database.identifyFaces(request),
      (answers) => ({ faces: answers.map(decided) }),
    );
  }

  verify(request: VerifyRequest): Promise<Verification> {
    const subject = { action: 'verify', gallery: nameOf(request), identity: request.identity } as const;
    return this.#recorder.decision(
      subject,
      () => this.#database.verify(request),
      ({ decision, distance, threshold, fmr, space }) => ({ decision, distance, threshold, fmr, space }),
    );
  }

  // ── People ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  enroll(request: EnrollRequest): Promise<EnrollAnswer> {
    const facts = samplesOf(request);
    const subject = { action: 'enroll', gallery: nameOf(request), identity: request.identity, facts } as const;
    return this.#recorder.change(subject, () => this.#database.enroll(request), enrolled);
  }

  importAll(
    items: AsyncIterable<EnrollRequest> | Iterable<EnrollRequest>,
    options: CallOptions = {},
  ): AsyncIterable<ImportResult> {
    const counts = { enrolled: 0, refused: 0 };
    return recordedImport<EnrollRequest, ImportResult>(this.#recorder, {
      subject: { action: 'import' },
      items,
      signal: options.signal,
      subjectOf: (item) => ({
        action: 'enroll',
        gallery: nameOf(item),
        identity: item.identity,
        facts: samplesOf(item),
      }),
      work: (begun) => this.#database.importAll(begun, { ...options, signal: undefined }),
      factsOf: ({ answer }) => {
        counts[answer ? 'enrolled' : 'refused']++;
        return answer ? enrolled(answer) : {};
      },
      sum: () => counts,
    });
  }

  importTemplates(
    items: AsyncIterable<ExportedTemplate> | Iterable<ExportedTemplate>,
    options: ImportTemplatesOptions = {},
  ): AsyncIterable<TemplateImportResult> {
    const counts = { added: 0, present: 0, refused: 0 };
    return recordedImport<ExportedTemplate, TemplateImportResult>(this.#recorder, {
      subject: { action: 'import', gallery: options.gallery },
      items,
      signal: options.signal,
      subjectOf: ({ gallery, identity }) => ({ action: 'enroll', gallery: options.gallery ?? gallery, identity }),
      work: (begun) => this.#database.importTemplates(begun, { ...options, signal: undefined }),
      factsOf: ({ answer }) => {
        counts[!answer ? 'refused' : answer.added ? 'added' : 'present']++;
        if (!answer) return {};
        const { added, template } = answer;
        return { added, templates: [template.template], space: template.space };
      },
      sum: () => counts,
    });
  }

  updateIdentity(request: UpdateIdentityRequest): Promise<Identity> {
    const { identity, label, groups, attributes } = request;
    const changed = Object.entries({ label, groups, attributes }).flatMap(([name, value]) =>
      value === undefined ? [] : [name],
    );
    const subject = { action: 'update-identity', gallery: nameOf(request), identity, facts: { changed } } as const;
    return this.#recorder.change(
      subject,
      () => this.#database.updateIdentity(request),
      ({ version }) => ({ version }),
    );
  }

  removeTemplate(request: RemoveTemplateRequest): Promise<Identity> {
    const { identity, template } = request;
    const subject = { action: 'remove-template', gallery: nameOf(request), identity, facts: { template } } as const;
    return this.#recorder.change(subject, () => this.#database.removeTemplate(request));
  }

  eraseIdentity(request: EraseRequest): Promise<EraseAnswer> {
    const subject = { action: 'erase', gallery: nameOf(request), identity: request.identity } as const;
    return this.#recorder.change(
      subject,
      () => this.#database.eraseIdentity(request),
      ({ existed }) => ({ existed }),
    );
  }

  // ── Galleries ──────────────────────────────────────────────────────────────────────────────────────────────────────

  createGallery(request: CreateGalleryRequest): Promise<Gallery> {
    const subject = { action: 'create-gallery', gallery: request.gallery } as const;
    return this.#recorder.change(
      subject,
      () => this.#database.createGallery(request),
      ({ space, threshold, fpirTarget, fmrTarget, duplicates, presentation }) => ({
        space,
        threshold,
        fpirTarget,
        fmrTarget,
        duplicates,
        presentation,
      }),
    );
  }

  updateGallery(request: UpdateGalleryRequest): Promise<Gallery> {
    const { gallery, threshold, fpirTarget, fmrTarget, margin, duplicates, refuseReasons, presentation } = request;
    const facts = { threshold, fpirTarget, fmrTarget, margin, duplicates, refuseReasons, presentation };
    const subject = { action: 'update-gallery', gallery, facts } as const;
    return this.#recorder.change(subject, () => this.#database.updateGallery(request));
  }

  deleteGallery(request: { readonly gallery: string } & CallOptions): Promise<boolean> {
    const subject = { action: 'delete-gallery', gallery: request.gallery } as const;
    return this.#recorder.change(
      subject,
      () => this.#database.deleteGallery(request),
      (existed) => ({ existed }),
    );
  }

  calibrate(request: CalibrateRequest = {}): Promise<CalibrateAnswer> {
    const subject = { action: 'calibrate', gallery: nameOf(request) } as const;
    return this.#recorder.change(
      subject,
      () => this.#database.calibrate(request),
      ({ calibration, probeCount, samePeople }) => ({
        space: calibration?.space ?? null,
        probeCount,
        samePairCount: samePeople.length,
      }),
    );
  }

  // ── What leaves ────────────────────────────────────────────────────────────────────────────────────────────────────

  exportTemplates(
    request: { readonly gallery?: string | undefined } & CallOptions = {},
  ): AsyncIterable<ExportedTemplate> {
    let templates = 0;
    return this.#recorder.stream(
      { action: 'export', gallery: nameOf(request) },
      () => this.#database.exportTemplates(request),
      () => templates++,
      () => ({ templates }),
    );
  }

  backup(options?: CallOptions): AsyncIterable<Uint8Array> {
    let bytes = 0;
    return this.#recorder.stream(
      { action: 'backup' },
      () => this.#database.backup(options),
      (chunk) => (bytes += chunk.length),
      () => ({ bytes }),
    );
  }

  // ── Not recorded ───────────────────────────────────────────────────────────────────────────────────────────────────

  embed(request: EmbedRequest): Promise<EmbedAnswer> {
    return this.#database.embed(request);
  }

  getGallery(request: { readonly gallery: string } & CallOptions): Promise<Gallery> {
    return this.#database.getGallery(request);
  }

  listGalleries(options?: CallOptions): Promise<readonly Gallery[]> {
    return this.#database.listGalleries(options);
  }

  getIdentity(request: IdentityRef): Promise<Identity> {
    return this.#database.getIdentity(request);
  }

  listIdentities(request?: ListIdentitiesRequest): Promise<IdentityPage> {
    return this.#database.listIdentities(request);
  }

  check(request?: CheckRequest): AsyncGenerator<Finding, CheckCounts, void> {
    return this.#database.check(request);
  }

  stats(options?: CallOptions): Promise<Stats> {
    return this.#database.stats(options);
  }

  getCalibration(request?: CalibrationRef): Promise<Calibration | null> {
    return this.#database.getCalibration(request);
  }

  checkpoint(request?: { readonly gallery?: string | undefined } & CallOptions): Promise<void> {
    return this.#database.checkpoint(request);
  }

  async close(): Promise<void> {
    await this.#database.close();
    await this.#afterClose();
  }
}

type Step = Exclude<keyof Rollouts, 'report' | 'backfillOrder' | 'get'>;

function auditedRollouts(rollouts: Rollouts, recorder: Recorder): Rollouts {
  const subject = (
    step: Step,
    { gallery }: { readonly gallery?: string | undefined },
    facts: AuditFacts = {},
  ): Subject => ({
    action: 'rollout',
    gallery: gallery ?? defaultGallery,
    facts: { step, ...facts },
  });
  const stateOf = ({ state, from, to }: Rollout): AuditFacts => ({ state, from: from.space, to: to.space });
  const counting = <T extends { readonly error?: Error | undefined }>(
    about: Subject,
    items: () => AsyncIterable<T>,
  ): AsyncIterable<T> => {
    const counts = { done: 0, refused: 0 };
    return recorder.stream(
      about,
      items,
      ({ error }) => counts[error ? 'refused' : 'done']++,
      () => counts,
    );
  };
  /** Steps that tell their progress and return the rollout. */
  async function* long<P>(
    about: Subject,
    steps: () => AsyncGenerator<P, Rollout, void>,
  ): AsyncGenerator<P, Rollout, void> {
    const end: { rollout?: Rollout } = {};
    async function* progress(): AsyncIterable<P> {
      end.rollout = yield* steps();
    }
    const sum = (): AuditFacts => (end.rollout ? stateOf(end.rollout) : {});
    yield* recorder.stream(about, progress, () => undefined, sum);
    // It has returned, or what it threw was thrown on.
    return end.rollout as Rollout;
  }
  return {
    start: (request) => recorder.change(subject('start', request), () => rollouts.start(request), stateOf),
    addPairs: (request, samples) => counting(subject('addPairs', request), () => rollouts.addPairs(request, samples)),
    probes: (request) =>
      recorder.change(subject('probes', request, { share: request.share }), () => rollouts.probes(request), stateOf),
    fit: (request) => long(subject('fit', request), () => rollouts.fit(request)),
    shadow: (request) =>
      long(subject('shadow', request, { overrule: request.overrule }), () => rollouts.shadow(request)),
    canary: (request) =>
      recorder.change(
        subject('canary', request, { share: request.share, groups: request.groups }),
        () => rollouts.canary(request),
        stateOf,
      ),
    activate: (request) => recorder.change(subject('activate', request), () => rollouts.activate(request), stateOf),
    backfill: (request, samples) => counting(subject('backfill', request), () => rollouts.backfill(request, samples)),
    rollback: (request) => recorder.change(subject('rollback', request), () => rollouts.rollback(request), stateOf),
    complete: (request) =>
      recorder.change(subject('complete', request, { now: request.now }), () => rollouts.complete(request), stateOf),
    report: (request) => rollouts.report(request),
    backfillOrder: (request) => rollouts.backfillOrder(request),
    get: (request) => rollouts.get(request),
  };
}
