/**
 * Templates that left a database come back into one: parsed, each a write of its own, a result an item.
 *
 * Promises: a vector is stored bit for bit as it was exported; what the identity has already is not added again, so that an import can be
 * repeated; provenance (space, origin, quality, digest of the image, time) is the template's, not the import's; an item that is refused
 * never stops the others. A write an item, because the index shares transactions and flushes among writes that wait at the same time.
 */
import type { ExportedTemplate, ImportedTemplate, ImportTemplatesOptions, TemplateImportResult } from './api.js';
import { HarmonidError, throwIfAborted } from './errors.js';
import { importItems } from './import-stream.js';
import { spaceMismatch } from './index/gallery-changes.js';
import type { LaneVector } from './index/index-api.js';
import type { IdentityIndex, TemplateDraft } from './index/identity-index.js';
import type { Gallery, TemplateOrigin } from './index/records.js';
import {
  parseAttributes,
  parseDuplicates,
  parseGalleryName,
  parseGroups,
  parseIdentityId,
  parseLabel,
} from './requests.js';
import { parseVector } from './vector.js';

/** Writes that wait at the same time: enough to fill several transactions. */
const concurrency = 256;

const origins: readonly TemplateOrigin[] = ['native', 'mapped', 're-embedded'];

/** An exported template, trusted but for its vector, which is parsed when its gallery is known. */
export interface ParsedTemplate {
  readonly gallery: string;
  readonly identity: string;
  /** Undefined where the export has nothing to say, which then changes nothing. */
  readonly label: string | undefined;
  readonly groups: readonly string[] | undefined;
  readonly attributes: Readonly<Record<string, string>> | undefined;
  readonly space: string;
  readonly dimensions: number;
  readonly vector: ArrayLike<number>;
  readonly provenance: Pick<TemplateDraft, 'origin' | 'quality' | 'imageDigest'> & { readonly enrolledAt: number };
}

export interface TemplateImportParts {
  readonly index: IdentityIndex;
  /** Finds a template's gallery, or makes it. */
  readonly galleryFor: (template: ParsedTemplate) => Promise<Gallery>;
  /** The same face in the other space of a gallery that is being moved. */
  readonly besideFor: (
    gallery: Gallery,
    vector: Pick<LaneVector, 'space' | 'vector'>,
  ) => Promise<LaneVector | undefined>;
  /** Told when somebody new is in a gallery. */
  readonly grown: (gallery: string) => void;
}

export function importTemplates(
  { index, galleryFor, besideFor, grown }: TemplateImportParts,
  items: AsyncIterable<ExportedTemplate> | Iterable<ExportedTemplate>,
  options: ImportTemplatesOptions,
): AsyncIterable<TemplateImportResult> {
  const duplicates = parseDuplicates(options.duplicates ?? 'ignore');
  const gallery = options.gallery === undefined ? undefined : parseGalleryName(options.gallery);
  const galleries = new Map<string, Promise<Gallery>>();

  /** One is made once, however many templates wait for it. */
  async function galleryOf(template: ParsedTemplate): Promise<Gallery> {
    const found = galleries.get(template.gallery) ?? galleryFor(template);
    galleries.set(template.gallery, found);
    try {
      return await found;
    } catch (error) {
      galleries.delete(template.gallery);
      throw error;
    }
  }

  async function importOne(item: ExportedTemplate): Promise<ImportedTemplate> {
    throwIfAborted(options.signal);
    const parsed = parseExportedTemplate(gallery === undefined ? item : { ...item, gallery });
    await galleryOf(parsed);
    // As it is now: a rollout may have begun or switched since the import began.
    const now = index.getGallery(parsed.gallery);
    const { identity, label, groups, attributes, space, provenance } = parsed;
    const lane = now.beside?.space === space ? now.beside : now;
    if (lane.space !== space) throw spaceMismatch(parsed.gallery, now.space, space);
    const vector = parseVector(parsed.vector, lane.dimensions, `gallery "${parsed.gallery}"`);
    const beside = await besideFor(now, { space, vector });
    // A template that only the other space has cannot be searched for in this one.
    if (!beside && space !== now.space) throw spaceMismatch(parsed.gallery, now.space, space);
    const enrolment = await index.enroll({
      gallery: parsed.gallery,
      identity,
      label,
      groups,
      attributes,
      templates: [{ ...provenance, space, vector, beside }],
      duplicates,
      onlyNew: true,
      unlessErased: true,
      signal: options.signal,
    });
    const [template] = enrolment.templates;
    if (!template) throw new HarmonidError('INTERNAL', 'an enrolment of one template answered with none');
    const { created, replayed, sequence } = enrolment;
    if (created) grown(parsed.gallery);
    return { gallery: parsed.gallery, added: !replayed, identityCreated: created, template, sequence };
  }

  return importItems(importOne, items, { concurrency, signal: options.signal });
}

/** @throws INVALID_IDENTIFIER, INVALID_ARGUMENT */
function parseExportedTemplate(item: ExportedTemplate): ParsedTemplate {
  const { template, embedding } = item;
  const groups = parseGroups(item.groups);
  const attributes = parseAttributes(item.attributes);
  if (template.space !== embedding.space) {
    throw invalidArgument(`the template is of space "${template.space}", its vector of space "${embedding.space}"`);
  }
  return {
    gallery: parseGalleryName(item.gallery),
    identity: parseIdentityId(item.identity),
    label: parseLabel(item.label === '' ? undefined : item.label),
    groups: groups?.length === 0 ? undefined : groups,
    attributes: attributes && Object.keys(attributes).length === 0 ? undefined : attributes,
    space: embedding.space,
    dimensions: embedding.vector.length,
    vector: embedding.vector,
    provenance: parseProvenance(template),
  };
}

function parseProvenance(template: ExportedTemplate['template']): ParsedTemplate['provenance'] {
  const { origin, quality, imageDigest, enrolledAt } = template;
  if (!origins.includes(origin)) throw invalidArgument(`origin is "${origin}", one of ${origins.join(', ')} is wanted`);
  if (quality !== null && !(quality >= 0 && quality <= 1)) {
    throw invalidArgument(`quality is ${String(quality)}, a number from 0 to 1 or nothing is wanted`);
  }
  if (imageDigest !== null && !/^[0-9a-f]{64}$/.test(imageDigest)) {
    throw invalidArgument('imageDigest is not a SHA-256 of 64 lower-case hexadecimal digits');
  }
  if (!(enrolledAt instanceof Date) || Number.isNaN(enrolledAt.getTime())) {
    throw invalidArgument(`enrolledAt is ${String(enrolledAt)}, a time is wanted`);
  }
  return { origin, quality, imageDigest, enrolledAt: enrolledAt.getTime() };
}

function invalidArgument(message: string): HarmonidError {
  return new HarmonidError('INVALID_ARGUMENT', message);
}
