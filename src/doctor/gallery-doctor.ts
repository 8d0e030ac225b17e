/**
 * A gallery looked over, through `Database`: in a directory or behind a server alike. Writes nothing; what it proposes is a plan for `treat`.
 */
import type { CallOptions, Calibration, Database } from '../api.js';
import { distanceAtRate } from '../calibration/calibration-report.js';
import { parseVector } from '../vector.js';
import { examine, type ExaminationLimits, type ExaminedTemplate, type Findings } from './examination.js';
import { mapTemplates, type MappedTemplate } from './template-map.js';
import { proposePlan, type TreatmentPlan } from './treatment-plan.js';

export interface DoctorOptions extends CallOptions {
  readonly gallery: string;
  /** See `ExaminationLimits`. Default: the gallery's. */
  readonly threshold?: number | undefined;
  /** Default: of a calibrated gallery the distance within which one pair of strangers is expected, else the threshold. */
  readonly duplicateMax?: number | undefined;
  readonly margin?: number | undefined;
  /** Default 0.1. */
  readonly qualityMin?: number | undefined;
  /** Whether a map of the templates is drawn up, too. Default false. */
  readonly map?: boolean | undefined;
}

/** JSON values only. */
export interface DoctorReport extends Findings {
  readonly gallery: string;
  readonly space: string;
  readonly identityCount: number;
  readonly templateCount: number;
  readonly limits: ExaminationLimits;
  /** Null when none was asked for. */
  readonly map: readonly MappedTemplate[] | null;
  /** What would follow from the findings, for a person to strike out what is wrong. */
  readonly plan: TreatmentPlan;
}

/** A score of quality is 0 at the limit of what an enrolment accepts: below a tenth there is hardly anything above it. */
const qualityMinDefault = 0.1;

/** The distance within which there is one pair of strangers in the whole gallery: both of it have somebody within, 2 of N. */
function expectedPairMax({ points, searchedCount }: Calibration): number {
  return distanceAtRate(points, 'fpir', 2 / searchedCount).distance;
}

/** @throws GALLERY_NOT_FOUND, CANCELLED */
export async function examineGallery(database: Database, options: DoctorOptions): Promise<DoctorReport> {
  const { gallery, signal } = options;
  const { space, dimensions, threshold, margin } = await database.getGallery({ gallery, signal });
  const calibration = await database.getCalibration({ gallery, signal });
  const within = options.threshold ?? threshold;
  const limits = {
    threshold: within,
    duplicateMax:
      options.duplicateMax ?? (options.threshold === undefined && calibration ? expectedPairMax(calibration) : within),
    margin: options.margin ?? margin,
    qualityMin: options.qualityMin ?? qualityMinDefault,
  };
  const identities: string[] = [];
  for (let pageToken: string | undefined = ''; pageToken !== undefined;) {
    const page = await database.listIdentities({
      gallery,
      pageSize: 1000,
      ...(pageToken !== '' && { pageToken }),
      signal,
    });
    identities.push(...page.identities.map(({ identity }) => identity));
    pageToken = page.nextPageToken;
  }
  const templates: ExaminedTemplate[] = [];
  for await (const { identity, template, embedding } of database.exportTemplates({ gallery, signal })) {
    const vector = parseVector(embedding.vector, dimensions, `gallery "${gallery}"`);
    templates.push({ identity, template: template.template, quality: template.quality, vector });
  }
  const findings = await examine(identities, templates, limits, signal);
  return {
    gallery,
    space,
    identityCount: identities.length,
    templateCount: templates.length,
    limits,
    ...findings,
    map: options.map ? await mapTemplates(templates, findings, { signal }) : null,
    plan: proposePlan(gallery, findings),
  };
}
