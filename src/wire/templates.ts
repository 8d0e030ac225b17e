/**
 * Templates between the API and the wire, both ways: the server gives and takes them, so does the client, and so do files.
 *
 * Whoever parses says what a lack is an error of: of the server that answered, of the client that asked, or of a file.
 */
import type { ExportedTemplate, Template } from '../api.js';
import { HarmonidError } from '../errors.js';
import { nameOf, numberOf, templateOrigins } from './enums.js';
import type { ExportTemplatesResponse } from './harmonid/v1/admin.js';
import type { Embedding as WireEmbedding, Template as WireTemplate } from './harmonid/v1/common.js';

/** Makes the error of a message that lacks something, e.g. `enrolled_at`. */
export type Lacking = (what: string) => HarmonidError;

/** Total: what the database hands out can be sent. */
export function formatTemplate(template: Template): WireTemplate {
  return {
    ...template,
    origin: templateOrigins[template.origin],
    quality: template.quality ?? undefined,
    imageDigest: template.imageDigest ?? undefined,
  };
}

export function parseTemplate(template: WireTemplate, lacking: Lacking): Template {
  const { origin, enrolledAt } = template;
  const name = nameOf(templateOrigins, origin);
  if (name === undefined) throw lacking(`a known origin (it says ${origin})`);
  if (enrolledAt === undefined) throw lacking('enrolled_at');
  return {
    ...template,
    origin: name,
    quality: template.quality ?? null,
    imageDigest: template.imageDigest ?? null,
    enrolledAt,
  };
}

/** @throws INVALID_ARGUMENT for what a caller made and the wire cannot carry */
export function formatExported(exported: ExportedTemplate): ExportTemplatesResponse {
  const { gallery, identity, label, groups, attributes, template, embedding } = exported;
  const { enrolledAt } = template;
  if (!(enrolledAt instanceof Date) || Number.isNaN(enrolledAt.getTime())) {
    throw new HarmonidError('INVALID_ARGUMENT', `enrolledAt is ${String(enrolledAt)}, a time is wanted`);
  }
  return {
    gallery,
    identity,
    label,
    groups: [...groups],
    attributes,
    template: { ...formatTemplate(template), origin: numberOf(templateOrigins, template.origin, 'origin') },
    embedding: formatEmbedding(embedding),
  };
}

export function parseExported(exported: ExportTemplatesResponse, lacking: Lacking): ExportedTemplate {
  const { template, embedding } = exported;
  if (template === undefined) throw lacking('template');
  if (embedding === undefined) throw lacking('embedding');
  return { ...exported, template: parseTemplate(template, lacking), embedding: parseEmbedding(embedding) };
}

export function formatEmbedding({ space, vector }: ExportedTemplate['embedding']): WireEmbedding {
  return { space, vector: formatVector(vector) };
}

/** What is no number, or none that float32 holds, goes as NaN or infinity: the server refuses it as VECTOR_NOT_FINITE. */
export function formatVector(vector: ArrayLike<number>): number[] {
  return Array.from(vector, (value: unknown) => (typeof value === 'number' ? Math.fround(value) : Number.NaN));
}

/** Float32 again, as the library hands vectors out; the values were float32 on the wire. */
export function parseEmbedding({ space, vector }: WireEmbedding): ExportedTemplate['embedding'] {
  return { space, vector: Float32Array.from(vector) };
}
