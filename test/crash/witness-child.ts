/**
 * The witness: opens a directory as the product does and tells everything that is in it. Judges nothing. One directory at a time; ends
 * when its parent does.
 */
import { readdir } from 'node:fs/promises';
import process from 'node:process';
import { inspect } from 'node:util';
import { openDatabase, type Candidate, type Database, type Identity } from '../../src/database.js';
import { parseVector, type UnitVector } from '../../src/vector.js';
import type { Person } from './ledger.js';
import { graphSizes } from './graph-sizes.js';
import { isGuardDue, isOfGuard } from './guarded-load.js';
import { galleryName, groupNames, spaceName, type Examination, type Found, type Testimony } from './testimony.js';

const pageSize = 500;

async function examine({ path, erased }: Examination): Promise<Found> {
  const warnings: string[] = [];
  const guardIsDue = isGuardDue(path);
  const database = await openDatabase({
    path,
    embedder: false,
    ...graphSizes,
    onWarning(message, facts) {
      const warning = `${message} ${inspect(facts)}`;
      if (!guardIsDue || !isOfGuard(warning)) warnings.push(warning);
    },
  });
  try {
    const strayFiles = await findStrayFiles(path);
    // Searched first: while the graph still catches up with what the checkpoint did not hold.
    const exported = await readExport(database);
    const graphSearches = await Promise.all(exported.map(({ vector }) => search(database, vector, false)));
    const broughtUp = new Map<string, string[]>();
    for (const [identity, vector] of erased) {
      const answers = [await search(database, vector, false), await search(database, vector, true)];
      broughtUp.set(
        identity,
        answers.flat().map((candidate) => candidate.identity),
      );
    }
    const exactSearches = await Promise.all(exported.map(({ vector }) => search(database, vector, true)));
    const { sequence, identityCount, templateCount } = await database.getGallery({ gallery: galleryName });
    const [stats] = (await database.stats()).galleries;
    if (!stats) throw new Error('the statistics name no gallery');
    const vectors = new Map(exported.map(({ template, vector }) => [template, vector]));
    const members = await Promise.all(
      groupNames.map(
        async (group) => [group, (await list(database, [group])).map(({ identity }) => identity)] as const,
      ),
    );
    return {
      openedFrom: stats.graph.openedFrom,
      sequence,
      identityCount,
      templateCount,
      people: new Map((await list(database)).map((identity) => [identity.identity, asPerson(identity, vectors)])),
      exported: new Map(exported.map(({ template, identity }) => [template, identity])),
      members: new Map(members),
      searches: exported.map(({ identity, template }, i) => ({
        identity,
        template,
        graph: graphSearches[i]?.[0] ?? null,
        exact: exactSearches[i]?.[0] ?? null,
      })),
      broughtUp,
      strayFiles,
      warnings,
    };
  } finally {
    await database.close();
  }
}

async function findStrayFiles(path: string): Promise<string[]> {
  const files = await readdir(path, { recursive: true });
  const graphs = files.filter((file) => /\.(hnsw|graph)$/.test(file));
  return [...files.filter((file) => /(^|\/)\.|part|tmp/.test(file)), ...(graphs.length > 1 ? graphs : [])];
}

interface Exported {
  readonly identity: string;
  readonly template: number;
  readonly vector: UnitVector;
}

async function readExport(database: Database): Promise<Exported[]> {
  const templates: Exported[] = [];
  for await (const { identity, template, embedding } of database.exportTemplates({ gallery: galleryName })) {
    const { vector } = embedding;
    templates.push({ identity, template: template.template, vector: parseVector(vector, vector.length, 'the export') });
  }
  return templates;
}

async function search(database: Database, vector: UnitVector, exact: boolean): Promise<readonly Candidate[]> {
  const answer = await database.identify({
    gallery: galleryName,
    embedding: { space: spaceName, vector },
    k: 10,
    exact,
  });
  return answer.candidates;
}

async function list(database: Database, groups?: readonly string[]): Promise<Identity[]> {
  const identities: Identity[] = [];
  for (let pageToken: string | undefined; ;) {
    const page = await database.listIdentities({ gallery: galleryName, pageSize, pageToken, groups });
    identities.push(...page.identities);
    if (page.nextPageToken === undefined) return identities;
    pageToken = page.nextPageToken;
  }
}

/** A template whose vector is not in the export has none, and will be judged to differ. */
function asPerson(identity: Identity, vectors: ReadonlyMap<number, UnitVector>): Person {
  const { label, groups, attributes, version } = identity;
  const templates = identity.templates.map(({ template }) => ({
    template,
    vector: vectors.get(template) ?? (new Float32Array() as UnitVector),
  }));
  return { label, groups, attributes, version, templates };
}

process.on('message', (order) => {
  examine(order as Examination).then(
    (found) => process.send?.({ found } satisfies Testimony),
    (error: unknown) => process.send?.({ failure: inspect(error) } satisfies Testimony),
  );
});
process.on('disconnect', () => process.exit());
