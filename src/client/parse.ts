/** From answers on the wire to the API's. What an answer must have and lacks is an error of the server: INTERNAL. */
import { lanes, type LaneStats } from '../admission.js';
import { findingKinds } from '../api.js';
import type {
  CalibrateAnswer,
  Calibration,
  Candidate,
  EmbedAnswer,
  EmbedderInfo,
  EnrollAnswer,
  EraseAnswer,
  ExportedTemplate,
  Face,
  Finding,
  Gallery,
  GalleryStats,
  Identification,
  Identity,
  ImportResult,
  Stats,
  TemplateImportResult,
  Timings,
  Verification,
} from '../api.js';
import { executionProviders } from '../embedder/embedder.js';
import { HarmonidError } from '../errors.js';
import {
  decisions,
  duplicatePolicies,
  findingRepairs,
  findingSeverities,
  graphSources,
  nameOf,
  presentationPolicies,
  qualityReasonNumbers,
  rateKinds,
  rateSupports,
} from '../wire/enums.js';
import { errorOfWire } from '../wire/error-status.js';
import type * as admin from '../wire/harmonid/v1/admin.js';
import type * as common from '../wire/harmonid/v1/common.js';
import type * as wire from '../wire/harmonid/v1/identity.js';
import { parseEmbedding, parseExported as parseExportedTemplate, parseTemplate } from '../wire/templates.js';

export function parseErasure({ receipt, proof, ...rest }: wire.EraseIdentityResponse): EraseAnswer {
  return {
    ...rest,
    receipt: receipt ? { ...receipt, at: present(receipt.at, 'at') } : null,
    proof: proof ? { ...proof, keyDestroyed: proof.keyDestroyed ?? null } : null,
  };
}

export function parseEnrollAnswer(answer: wire.EnrollResponse): EnrollAnswer {
  return {
    ...answer,
    templates: answer.templates.map((template) => parseTemplate(template, incomplete)),
    faces: answer.faces.map(parseFace),
    duplicates: answer.duplicates.map(parseCandidate),
  };
}

export function parseImportResult({ index, identity, result }: wire.ImportResponse): ImportResult {
  const { $case, value } = present(result, 'result');
  return $case === 'answer'
    ? { index, identity, answer: parseEnrollAnswer(value) }
    : { index, identity, error: errorOfWire(value) };
}

export function parseIdentification(answer: wire.Identification): Identification {
  return {
    ...answer,
    decision: named(decisions, answer.decision, 'decision'),
    candidates: answer.candidates.map(parseCandidate),
    fpir: answer.fpir ?? null,
    margin: answer.margin ?? null,
    face: answer.face ? parseFace(answer.face) : null,
    timings: parseTimings(answer.timings),
  };
}

export function parseVerification(answer: wire.VerifyResponse): Verification {
  const decision = named(decisions, answer.decision, 'decision');
  if (decision === 'ambiguous') throw incomplete('a decision of a verification');
  return {
    ...answer,
    decision,
    fmr: answer.fmr ?? null,
    face: answer.face ? parseFace(answer.face) : null,
    timings: parseTimings(answer.timings),
  };
}

export function parseEmbedAnswer({ width, height, faces, timings }: wire.EmbedResponse): EmbedAnswer {
  return {
    width,
    height,
    faces: faces.map(({ face, embedding }) => ({
      face: parseFace(present(face, 'face')),
      embedding: parseEmbedding(present(embedding, 'embedding')),
    })),
    timings: present(timings, 'timings'),
  };
}

export function parseIdentity(given: common.Identity | undefined): Identity {
  const identity = present(given, 'identity');
  return {
    ...identity,
    templates: identity.templates.map((template) => parseTemplate(template, incomplete)),
    createdAt: present(identity.createdAt, 'created_at'),
    updatedAt: present(identity.updatedAt, 'updated_at'),
  };
}

export function parseExported(exported: admin.ExportTemplatesResponse): ExportedTemplate {
  return parseExportedTemplate(exported, incomplete);
}

export function parseImportedTemplate({
  index,
  identity,
  result,
}: admin.ImportTemplatesResponse): TemplateImportResult {
  const { $case, value } = present(result, 'result');
  return $case === 'answer'
    ? {
        index,
        identity,
        answer: { ...value, template: parseTemplate(present(value.template, 'template'), incomplete) },
      }
    : { index, identity, error: errorOfWire(value) };
}

export function parseGallery(given: admin.Gallery | undefined): Gallery {
  const gallery = present(given, 'gallery');
  return {
    ...gallery,
    duplicates: named(duplicatePolicies, gallery.duplicates, 'duplicates'),
    refuseReasons: parseReasons(gallery.refuseReasons),
    // A server that knows no policy has none.
    presentation:
      gallery.presentation === 0 ? 'ignore' : named(presentationPolicies, gallery.presentation, 'presentation'),
    beside: gallery.beside ?? null,
    fpirTarget: gallery.fpirTarget ?? null,
    fmrTarget: gallery.fmrTarget ?? null,
    createdAt: present(gallery.createdAt, 'created_at'),
  };
}

export function parseCalibration(calibration: admin.Calibration | undefined): Calibration | null {
  if (!calibration) return null;
  return {
    ...calibration,
    calibratedAt: present(calibration.calibratedAt, 'calibrated_at'),
    thresholds: calibration.thresholds.map((threshold) => ({
      ...threshold,
      kind: named(rateKinds, threshold.kind, 'kind'),
      support: named(rateSupports, threshold.support, 'support'),
    })),
  };
}

export function parseCalibrateAnswer({
  calibration,
  probeCount,
  samePeople,
}: admin.CalibrateResponse): CalibrateAnswer {
  return {
    calibration: parseCalibration(calibration),
    probeCount,
    samePeople: samePeople.map(({ identities: [one, other], distance }) => ({
      identities: [present(one, 'identities'), present(other, 'identities')],
      distance,
    })),
  };
}

export function parseStats(stats: admin.GetStatsResponse): Stats {
  return {
    ...stats,
    startedAt: present(stats.startedAt, 'started_at'),
    embedder: stats.embedder
      ? { info: parseEmbedderInfo(present(stats.embedder.info, 'info')), stats: present(stats.embedder.stats, 'stats') }
      : null,
    galleries: stats.galleries.map(parseGalleryStats),
    lanes: stats.lanes.map(parseLaneStats),
    search: stats.search ?? null,
  };
}

function parseLaneStats({ lane, ...rest }: admin.LaneStats): LaneStats {
  const known = lanes.find((name) => name === lane);
  if (known === undefined) throw incomplete(`a known lane (it says ${lane})`);
  return { lane: known, ...rest };
}

export function parseFinding(finding: admin.Finding): Finding {
  const kind = findingKinds.find((known) => known === finding.kind);
  if (kind === undefined) throw incomplete(`a known kind of finding (it says ${finding.kind})`);
  return {
    ...finding,
    kind,
    severity: named(findingSeverities, finding.severity, 'severity'),
    repair: named(findingRepairs, finding.repair, 'repair'),
  };
}

export function parseEmbedderInfo(info: admin.EmbedderInfo): EmbedderInfo {
  const provider = executionProviders.find((known) => known === info.provider);
  if (provider === undefined || provider === 'auto') throw incomplete('a known execution provider');
  return { ...info, provider, presentation: info.presentation ?? null };
}

function parseGalleryStats(stats: admin.GalleryStats): GalleryStats {
  const graph = present(stats.graph, 'graph');
  return {
    ...stats,
    graph: {
      ...graph,
      checkpointSequence: graph.checkpointSequence ?? null,
      checkpointAt: graph.checkpointAt ?? null,
      rebuild: graph.rebuild ?? null,
      recall: graph.recall ?? null,
      openedFrom: named(graphSources, graph.openedFrom, 'opened_from'),
    },
  };
}

function parseCandidate(candidate: common.Candidate): Candidate {
  return candidate;
}

function parseFace(face: common.Face): Face {
  const quality = present(face.quality, 'quality');
  const measures = present(quality.measures, 'measures');
  return {
    box: present(face.box, 'box'),
    landmarks: face.landmarks,
    quality: {
      score: quality.score,
      reasons: parseReasons(quality.reasons),
      measures: { ...measures, presentationScore: measures.presentationScore ?? null },
    },
  };
}

/** Reasons of a newer server that have no name here are left out. */
function parseReasons(reasons: readonly number[]): Face['quality']['reasons'] {
  return reasons.flatMap((reason) => nameOf(qualityReasonNumbers, reason) ?? []);
}

function parseTimings(timings: common.Timings | undefined): Timings {
  const { embed, searchMs, totalMs } = present(timings, 'timings');
  return { ...present(embed, 'embed'), searchMs, totalMs };
}

export function present<T>(value: T | undefined, field: string): T {
  if (value === undefined) throw incomplete(field);
  return value;
}

export function named<Name extends string>(table: Readonly<Record<Name, number>>, value: number, field: string): Name {
  const name = nameOf(table, value);
  if (name === undefined) throw incomplete(`a known ${field} (it says ${value})`);
  return name;
}

function incomplete(what: string): HarmonidError {
  return new HarmonidError('INTERNAL', `the server's answer lacks ${what}`);
}
