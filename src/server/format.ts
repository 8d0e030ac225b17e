/** From the API's answers to the wire's. Total: whatever the database answers can be sent. */
import type {
  CalibrateAnswer,
  Calibration,
  Candidate,
  EmbedAnswer,
  EmbedderInfo,
  EnrollAnswer,
  EraseAnswer,
  Face,
  Finding,
  Gallery,
  GalleryStats,
  Identification,
  Identity,
  QualityReason,
  Stats,
  Timings,
  Verification,
} from '../api.js';
import { requestLimits } from '../requests.js';
import {
  decisions,
  duplicatePolicies,
  findingRepairs,
  findingSeverities,
  graphSources,
  presentationPolicies,
  qualityReasonNumbers,
  rateKinds,
  rateSupports,
} from '../wire/enums.js';
import type * as admin from '../wire/harmonid/v1/admin.js';
import type * as common from '../wire/harmonid/v1/common.js';
import type * as wire from '../wire/harmonid/v1/identity.js';
import { formatEmbedding, formatTemplate } from '../wire/templates.js';

export function formatErasure({ receipt, proof, ...rest }: EraseAnswer): wire.EraseIdentityResponse {
  return {
    ...rest,
    receipt: receipt ?? undefined,
    proof: proof ? { ...proof, keyDestroyed: proof.keyDestroyed ?? undefined } : undefined,
  };
}

export function formatEnrollAnswer(answer: EnrollAnswer): wire.EnrollResponse {
  return {
    ...answer,
    templates: answer.templates.map(formatTemplate),
    faces: answer.faces.map(formatFace),
    duplicates: answer.duplicates.map(formatCandidate),
  };
}

export function formatIdentification(answer: Identification): wire.Identification {
  return {
    ...answer,
    decision: decisions[answer.decision],
    candidates: answer.candidates.map(formatCandidate),
    fpir: answer.fpir ?? undefined,
    margin: answer.margin ?? undefined,
    face: answer.face ? formatFace(answer.face) : undefined,
    timings: formatTimings(answer.timings),
  };
}

export function formatVerification(answer: Verification): wire.VerifyResponse {
  return {
    ...answer,
    decision: decisions[answer.decision],
    fmr: answer.fmr ?? undefined,
    face: answer.face ? formatFace(answer.face) : undefined,
    timings: formatTimings(answer.timings),
  };
}

export function formatEmbedAnswer({ width, height, faces, timings }: EmbedAnswer): wire.EmbedResponse {
  return {
    width,
    height,
    faces: faces.map(({ face, embedding }) => ({ face: formatFace(face), embedding: formatEmbedding(embedding) })),
    timings,
  };
}

export function formatIdentity(identity: Identity): common.Identity {
  return {
    ...identity,
    groups: [...identity.groups],
    attributes: identity.attributes,
    templates: identity.templates.map(formatTemplate),
  };
}

export function formatFinding(finding: Finding): admin.Finding {
  return {
    ...finding,
    severity: findingSeverities[finding.severity],
    repair: findingRepairs[finding.repair],
  };
}

export function formatGallery(gallery: Gallery): admin.Gallery {
  return {
    ...gallery,
    duplicates: duplicatePolicies[gallery.duplicates],
    refuseReasons: formatReasons(gallery.refuseReasons),
    presentation: presentationPolicies[gallery.presentation],
    beside: gallery.beside ?? undefined,
    fpirTarget: gallery.fpirTarget ?? undefined,
    fmrTarget: gallery.fmrTarget ?? undefined,
  };
}

export function formatCalibration(calibration: Calibration | null): admin.Calibration | undefined {
  if (!calibration) return undefined;
  return {
    ...calibration,
    thresholds: calibration.thresholds.map((threshold) => ({
      ...threshold,
      kind: rateKinds[threshold.kind],
      support: rateSupports[threshold.support],
    })),
    points: [...calibration.points],
  };
}

export function formatCalibrateAnswer({
  calibration,
  probeCount,
  samePeople,
}: CalibrateAnswer): admin.CalibrateResponse {
  return {
    calibration: formatCalibration(calibration),
    probeCount,
    samePeople: samePeople.map(({ identities, distance }) => ({ identities: [...identities], distance })),
  };
}

export function formatInfo({ version, startedAt, embedder }: Stats, messageBytesMax: number): admin.GetInfoResponse {
  const { samplesMax, candidatesMax, efMax, pageSizeMax, identifierLengthMax } = requestLimits;
  return {
    version,
    startedAt,
    embedder: embedder ? formatEmbedderInfo(embedder.info) : undefined,
    limits: { messageBytesMax, samplesMax, candidatesMax, efMax, pageSizeMax, identifierLengthMax },
  };
}

export function formatStats(stats: Stats): admin.GetStatsResponse {
  return {
    ...stats,
    embedder: stats.embedder
      ? { info: formatEmbedderInfo(stats.embedder.info), stats: stats.embedder.stats }
      : undefined,
    galleries: stats.galleries.map(formatGalleryStats),
    lanes: [...stats.lanes],
    search: stats.search ?? undefined,
  };
}

function formatEmbedderInfo(info: EmbedderInfo): admin.EmbedderInfo {
  return { ...info, presentation: info.presentation ?? undefined };
}

function formatGalleryStats(stats: GalleryStats): admin.GalleryStats {
  const { graph } = stats;
  return {
    ...stats,
    graph: {
      ...graph,
      checkpointSequence: graph.checkpointSequence ?? undefined,
      checkpointAt: graph.checkpointAt ?? undefined,
      rebuild: graph.rebuild ?? undefined,
      recall: graph.recall ?? undefined,
      openedFrom: graphSources[graph.openedFrom],
    },
  };
}

function formatCandidate(candidate: Candidate): common.Candidate {
  return { ...candidate, groups: [...candidate.groups] };
}

function formatFace({ box, landmarks, quality }: Face): common.Face {
  return {
    box,
    landmarks: [...landmarks],
    quality: {
      score: quality.score,
      reasons: formatReasons(quality.reasons),
      measures: { ...quality.measures, presentationScore: quality.measures.presentationScore ?? undefined },
    },
  };
}

function formatReasons(reasons: readonly QualityReason[]): common.QualityReason[] {
  return reasons.map((reason) => qualityReasonNumbers[reason]);
}

function formatTimings({ searchMs, totalMs, ...embed }: Timings): common.Timings {
  return { embed, searchMs, totalMs };
}
