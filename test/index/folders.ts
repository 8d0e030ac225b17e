/** Temporary folders and the settings that most tests of the index share. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EnrollDraft, GalleryDraft, TemplateDraft } from '../../src/index/identity-index.js';
import type { UnitVector } from '../../src/vector.js';

/** Runs `work` in a new folder, which is removed afterwards. */
export async function inTemporaryFolder<T>(work: (path: string) => Promise<T>): Promise<T> {
  const path = await mkdtemp(join(tmpdir(), 'harmonid-index-'));
  try {
    return await work(path);
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

export const testSpace = 'test-net:1';

export function galleryDraft(gallery: string, dimensions: number, change: Partial<GalleryDraft> = {}): GalleryDraft {
  return {
    gallery,
    space: testSpace,
    dimensions,
    threshold: 0.05,
    thresholdSource: 'set by the test',
    margin: 0.01,
    duplicates: 'refuse',
    refuseReasons: [],
    templatesPerIdentityMax: 20,
    description: '',
    ...change,
  };
}

export function templateDraft(vector: UnitVector): TemplateDraft {
  return { vector, space: testSpace, origin: 'native', quality: null, imageDigest: null };
}

export function enrollDraft(
  gallery: string,
  identity: string,
  vectors: readonly UnitVector[],
  more: Partial<EnrollDraft> = {},
): EnrollDraft {
  return { gallery, identity, templates: vectors.map(templateDraft), ...more };
}
