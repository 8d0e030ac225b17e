/**
 * When two templates are one and the same: the same values, bit for bit, in the same space, enrolled at the same time. Pure.
 *
 * The time tells a copy from a second enrolment of the same photo, which is a template of its own.
 */
import type { StoredTemplate } from './identity-reads.js';
import type { TemplateDraft } from './index-api.js';

/** The stored templates that the drafts are copies of, in their order; undefined when one of them is none. */
export function findCopies(
  stored: readonly StoredTemplate[],
  drafts: readonly TemplateDraft[],
): readonly StoredTemplate[] | undefined {
  const copies = drafts.flatMap((draft) => stored.find((template) => isCopy(draft, template)) ?? []);
  return copies.length === drafts.length ? copies : undefined;
}

function isCopy({ space, enrolledAt, vector }: TemplateDraft, { record }: StoredTemplate): boolean {
  return (
    record.enrolledAt === enrolledAt &&
    record.space === space &&
    record.vector.length === vector.length &&
    record.vector.every((value, i) => Object.is(value, vector[i]))
  );
}
