/** Two galleries on a server: synthetic people by vector, and people of the sample photos by image. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Database } from '../src/api.js';
import { modelDimensions, type ModelGallery } from './gallery-model.js';
import { runLoad } from './measure.js';

export const space = 'gallery-model';
/** Identity i of the model is `person-i`. */
export const vectorGallery = 'vectors';
/** Portrait i is `portrait-i`. */
export const imageGallery = 'images';

export async function fillGalleries(
  database: Database,
  model: ModelGallery,
  portraits: readonly Buffer[],
): Promise<void> {
  await createVectorGallery(database, vectorGallery);
  await fillVectorGallery(database, vectorGallery, model);
  await createImageGallery(database, imageGallery);
  for (const [position, image] of portraits.entries()) {
    await database.enroll({
      gallery: imageGallery,
      identity: `portrait-${position}`,
      images: [image],
      faces: 'largest',
    });
  }
}

/** Several templates of a person at once; ends when the graph has them. */
export async function fillVectorGallery(
  database: Database,
  gallery: string,
  { templates, templatesPerIdentity }: ModelGallery,
): Promise<void> {
  await runLoad(Math.ceil(templates.length / templatesPerIdentity), 64, (identity) =>
    database.enroll({
      gallery,
      identity: `person-${identity}`,
      embeddings: templates
        .slice(identity * templatesPerIdentity, (identity + 1) * templatesPerIdentity)
        .map((vector) => ({ space, vector })),
    }),
  );
  await settle(database);
}

export async function createVectorGallery(database: Database, gallery: string): Promise<void> {
  await database.createGallery({
    gallery,
    space,
    dimensions: modelDimensions,
    threshold: 0.19,
    duplicates: 'ignore',
    templatesPerIdentityMax: 1000,
  });
}

export async function createImageGallery(database: Database, gallery: string): Promise<void> {
  await database.createGallery({ gallery, duplicates: 'ignore', refuseReasons: [] });
}

/** Waits until the graphs have taken in what was enrolled before, so that nobody is measured with another's work behind him. */
export async function settle(database: Database): Promise<void> {
  for (;;) {
    const { galleries } = await database.stats();
    if (galleries.every(({ graph }) => graph.engine === 'exact' || graph.pendingCount === 0)) return;
    await pause(20);
  }
}
