/**
 * The plan of a run: step n of seed S is a pure function of n and S, whatever the index answered before. So a run replays.
 *
 * What a plan cannot know (which templates somebody has by then) it leaves as a rank in [0, 1), which the model resolves. Galleries grow
 * and shrink in phases, so that graphs are built, carry removed entries, are rebuilt and dropped.
 */
import type { GalleryChange, GalleryDraft, TemplateDraft } from '../../src/index/identity-index.js';
import type { DuplicatePolicy } from '../../src/index/records.js';
import { parseVector, type UnitVector } from '../../src/vector.js';
import { normal, pick, randomFrom, type Random } from '../index/faces.js';
import { planDamage, planRestart, type Damage, type Restart } from './restart-plan.js';

export const space = 'simulated-net:1';

/** The galleries that come and go. */
const galleries = [
  { name: 'lobby', dimensions: 24, people: 150 },
  { name: 'gate', dimensions: 16, people: 90 },
  { name: 'vault', dimensions: 32, people: 60 },
  { name: 'annex', dimensions: 128, people: 40 },
] as const;
type GalleryPlan = (typeof galleries)[number];

const groupNames = ['staff', 'visitors', 'night shift', 'école'];
/** UTF-16 and UTF-8 order the last two differently. */
const names = [
  (person: number): string => `person ${person}`,
  (person: number): string => `${person}`,
  (person: number): string => `～ ${person}`,
  (person: number): string => `😀 ${person}`,
];
const phaseSteps = 150;

export type Write =
  | {
      readonly kind: 'enroll';
      readonly gallery: string;
      readonly identity: string;
      readonly label: string | undefined;
      readonly groups: readonly string[] | undefined;
      readonly attributes: Readonly<Record<string, string>> | undefined;
      readonly templates: readonly TemplateDraft[];
      readonly duplicates: DuplicatePolicy;
      readonly idempotency: { readonly key: string; readonly digest: string } | undefined;
    }
  | {
      readonly kind: 'update';
      readonly gallery: string;
      readonly identity: string;
      readonly label: string | undefined;
      readonly groups: readonly string[] | undefined;
      /** Added to the version that is expected: 0 is the right one, null expects none. */
      readonly versionShift: number | null;
    }
  | { readonly kind: 'remove'; readonly gallery: string; readonly identity: string; readonly rank: number }
  | { readonly kind: 'erase'; readonly gallery: string; readonly identity: string };

export type Read =
  | {
      readonly kind: 'search';
      readonly gallery: string;
      readonly probe: UnitVector;
      readonly k: number;
      readonly groups: readonly string[] | undefined;
      readonly threshold: number | undefined;
      readonly exact: boolean;
    }
  | { readonly kind: 'verify'; readonly gallery: string; readonly identity: string; readonly probe: UnitVector }
  | { readonly kind: 'get'; readonly gallery: string; readonly identity: string }
  | {
      readonly kind: 'page';
      readonly gallery: string;
      readonly after: string | undefined;
      readonly limit: number;
      readonly groups: readonly string[] | undefined;
    }
  | { readonly kind: 'gallery'; readonly gallery: string }
  | { readonly kind: 'stats' };

export type Administration =
  | { readonly kind: 'create'; readonly draft: GalleryDraft }
  | { readonly kind: 'delete'; readonly gallery: string }
  | { readonly kind: 'settings'; readonly gallery: string; readonly change: GalleryChange };

/** `disk` leaves `roomBytes` on the file system, `file-size` lets no file grow beyond so much more, `graphs` makes graph files unwritable. */
export interface Starvation {
  readonly kind: 'disk' | 'file-size' | 'graphs';
  readonly roomBytes: number;
  readonly steps: number;
  /** Large writes, with which it begins: small ones find room in pages that others left. */
  readonly writes: readonly Write[];
}

export type Step = { readonly passMs: number } & (
  | { readonly kind: 'writes'; readonly writes: readonly Write[]; readonly searches: readonly Read[] }
  | { readonly kind: 'reads'; readonly reads: readonly Read[] }
  | { readonly kind: 'retry'; readonly gallery: string; readonly rank: number; readonly isSame: boolean }
  | { readonly kind: 'administer'; readonly work: Administration }
  | { readonly kind: 'checkpoint'; readonly gallery: string | undefined }
  | { readonly kind: 'settle' }
  | { readonly kind: 'starve'; readonly starvation: Starvation }
  | { readonly kind: 'restart'; readonly restart: Restart; readonly damage: Damage }
);

export interface Plan {
  /** What happens before step 0, so that there is something to work on. */
  readonly drafts: readonly GalleryDraft[];
  step(n: number): Step;
}

/** A number for each (seed, place): steps do not share a stream, so that none shifts the next. */
function mixed(seed: number, ...places: readonly number[]): number {
  let state = seed >>> 0;
  for (const place of places) {
    state = Math.imul(state ^ (place + 0x9e3779b9), 0x85ebca6b);
    state ^= state >>> 13;
    state = Math.imul(state, 0xc2b2ae35);
    state ^= state >>> 16;
  }
  return state >>> 0;
}

export function planRun(seed: number): Plan {
  const centres = new Map<string, number[]>();

  function centreOf({ dimensions }: GalleryPlan, person: number): number[] {
    const key = `${dimensions} ${person}`;
    const known = centres.get(key);
    if (known) return known;
    // A large common mean, as real embeddings have; the people lie around it.
    const mean = randomFrom(mixed(seed, 1, dimensions));
    const own = randomFrom(mixed(seed, 2, dimensions, person));
    const made = Array.from({ length: dimensions }, () => normal(mean) + 0.5 * normal(own));
    centres.set(key, made);
    return made;
  }

  function face(random: Random, gallery: GalleryPlan): (person: number) => UnitVector {
    return (person) => {
      const spread = random() < 0.2 ? 0.3 : 0.1;
      const values = centreOf(gallery, person).map((value) => value + spread * normal(random));
      return parseVector(values, gallery.dimensions, 'the simulation');
    };
  }

  function planWrites(random: Random, n: number): readonly Write[] {
    const count = 1 + Math.floor(random() ** 2 * 14);
    const taken = new Set<string>();
    return Array.from({ length: count }, (_, i) => {
      const gallery = pickGallery(random);
      const person = Math.floor(random() * gallery.people);
      const identity = nameOf(person);
      // Two writes of one identity in a batch are done in their order, so that the model can follow; mostly they differ.
      const isTaken = taken.has(`${gallery.name} ${identity}`);
      taken.add(`${gallery.name} ${identity}`);
      return planWrite(random, gallery, person, isTaken ? 'erase' : kindOf(random, gallery, n), `${n}.${i}`);
    });
  }

  function kindOf(random: Random, { dimensions }: GalleryPlan, n: number): Write['kind'] {
    // Each gallery has its own phases: it grows, it stays, it shrinks.
    const phase = mixed(seed, 3, dimensions, Math.floor(n / phaseSteps)) % 4;
    const erased = [0.05, 0.1, 0.2, 0.6][phase] ?? 0.1;
    const dice = random();
    if (dice < erased) return 'erase';
    if (dice < erased + 0.1) return 'update';
    return dice < erased + 0.2 ? 'remove' : 'enroll';
  }

  function planWrite(random: Random, gallery: GalleryPlan, person: number, kind: Write['kind'], key: string): Write {
    const target = { gallery: gallery.name, identity: nameOf(person) };
    switch (kind) {
      case 'enroll': {
        const make = face(random, gallery);
        return {
          kind,
          ...target,
          label: random() < 0.3 ? `label ${Math.floor(random() * 1_000)}` : undefined,
          groups: random() < 0.5 ? someGroups(random) : undefined,
          attributes: random() < 0.2 ? { badge: String(Math.floor(random() * 1_000)) } : undefined,
          templates: Array.from({ length: 1 + Math.floor(random() * 3) }, () => templateDraft(random, make(person))),
          duplicates: 'ignore',
          idempotency: random() < 0.2 ? { key, digest: `digest of ${key}` } : undefined,
        };
      }
      case 'update':
        return {
          kind,
          ...target,
          label: random() < 0.5 ? `label ${Math.floor(random() * 1_000)}` : undefined,
          groups: random() < 0.6 ? someGroups(random) : undefined,
          versionShift: random() < 0.5 ? null : random() < 0.6 ? 0 : -1,
        };
      case 'remove':
        return { kind, ...target, rank: random() };
      case 'erase':
        return { kind, ...target };
    }
  }

  function planRead(random: Random): Read {
    const gallery = pickGallery(random);
    const { name } = gallery;
    const person = Math.floor(random() * gallery.people);
    const dice = random();
    if (dice < 0.7) return planSearch(random);
    if (dice < 0.8) {
      const other = random() < 0.3 ? Math.floor(random() * gallery.people) : person;
      return { kind: 'verify', gallery: name, identity: nameOf(other), probe: face(random, gallery)(person) };
    }
    if (dice < 0.87) return { kind: 'get', gallery: name, identity: nameOf(person) };
    if (dice < 0.95) {
      return {
        kind: 'page',
        gallery: name,
        after: random() < 0.6 ? nameOf(person) : undefined,
        limit: 1 + Math.floor(random() * 20),
        groups: random() < 0.4 ? [pick(random, groupNames) ?? ''] : undefined,
      };
    }
    return dice < 0.98 ? { kind: 'gallery', gallery: name } : { kind: 'stats' };
  }

  function planSearch(random: Random): Read {
    const gallery = pickGallery(random);
    return {
      kind: 'search',
      gallery: gallery.name,
      probe: face(random, gallery)(Math.floor(random() * gallery.people)),
      k: pick(random, [1, 1, 2, 3, 5, 10, 40]) ?? 1,
      groups: random() < 0.35 ? [pick(random, groupNames) ?? '', 'no such group'] : undefined,
      threshold: random() < 0.2 ? random() * 0.2 : undefined,
      exact: random() < 0.3,
    };
  }

  function planStep(n: number): Step {
    const random = randomFrom(mixed(seed, 4, n));
    const passMs = random() < 0.002 ? 25 * 60 * 60 * 1_000 : Math.floor(random() * 60_000);
    const dice = random();
    if (dice < 0.55) return { passMs, kind: 'writes', writes: planWrites(random, n), searches: [] };
    if (dice < 0.82) {
      return {
        passMs,
        kind: 'reads',
        reads: Array.from({ length: 1 + Math.floor(random() * 6) }, () => planRead(random)),
      };
    }
    if (dice < 0.87) {
      const searches = Array.from({ length: 1 + Math.floor(random() * 4) }, () => planSearch(random));
      return { passMs, kind: 'writes', writes: planWrites(random, n), searches };
    }
    if (dice < 0.9) {
      const gallery = pickGallery(random);
      const person = Math.floor(random() * gallery.people);
      const write = planWrite(random, gallery, person, 'enroll', `${n}.0`);
      if (write.kind !== 'enroll') throw new Error('an enrolment was planned');
      const duplicates = random() < 0.5 ? 'refuse' : 'report';
      const checked = { ...write, duplicates, templates: write.templates.slice(0, 1), idempotency: undefined } as const;
      return { passMs, kind: 'writes', writes: [checked], searches: [] };
    }
    if (dice < 0.92) {
      return { passMs, kind: 'retry', gallery: pickGallery(random).name, rank: random(), isSame: random() < 0.8 };
    }
    if (dice < 0.94) return { passMs, kind: 'administer', work: planAdministration(random) };
    if (dice < 0.963) {
      const gallery = random() < 0.6 ? pickGallery(random).name : undefined;
      return { passMs, kind: 'checkpoint', gallery };
    }
    if (dice < 0.973) return { passMs, kind: 'settle' };
    if (dice < 0.98) {
      const kind = pick(random, ['disk', 'file-size', 'graphs'] as const) ?? 'disk';
      const roomBytes = random() < 0.3 ? 0 : Math.floor(random() ** 2 * 100_000);
      const writes = planWrites(random, n).map((write) =>
        write.kind === 'enroll' ? { ...write, attributes: { note: 'x'.repeat(Math.floor(random() * 60_000)) } } : write,
      );
      return { passMs, kind: 'starve', starvation: { kind, roomBytes, steps: 2 + Math.floor(random() * 12), writes } };
    }
    if (dice < 0.993) {
      return {
        passMs,
        kind: 'restart',
        restart: planRestart(random, planWrites(random, n)),
        damage: planDamage(random),
      };
    }
    return { passMs, kind: 'reads', reads: [planRead(random)] };
  }

  return {
    drafts: galleries.map((gallery) => draftOf(randomFrom(mixed(seed, 5, gallery.dimensions)), gallery)),
    step: planStep,
  };
}

function pickGallery(random: Random): GalleryPlan {
  // The largest gets the most, so that it is beyond the exact scan most of the time.
  const dice = random();
  return galleries[dice < 0.5 ? 0 : dice < 0.75 ? 1 : dice < 0.9 ? 2 : 3];
}

function nameOf(person: number): string {
  const make = names[person % names.length] ?? String;
  return make(person);
}

function someGroups(random: Random): string[] {
  return groupNames.filter(() => random() < 0.3);
}

function templateDraft(random: Random, vector: UnitVector): TemplateDraft {
  const isFromImage = random() < 0.3;
  const digest = Array.from({ length: 8 }, () =>
    Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0'),
  );
  return {
    vector,
    space,
    origin: random() < 0.9 ? 'native' : 'mapped',
    quality: isFromImage ? Math.floor(random() * 100) / 100 : null,
    imageDigest: isFromImage ? digest.join('') : null,
  };
}

function draftOf(random: Random, { name, dimensions }: GalleryPlan): GalleryDraft {
  return {
    gallery: name,
    space,
    dimensions,
    threshold: 0.02 + random() * 0.08,
    thresholdSource: 'set by the simulation',
    margin: 0.01,
    duplicates: 'ignore',
    refuseReasons: [],
    templatesPerIdentityMax: 6,
    description: random() < 0.5 ? '' : `the ${name}`,
  };
}

function planAdministration(random: Random): Administration {
  const gallery = pick(random, galleries) ?? galleries[0];
  const dice = random();
  if (dice < 0.5) return { kind: 'create', draft: draftOf(random, gallery) };
  if (dice < 0.7) return { kind: 'delete', gallery: gallery.name };
  const change = pick(random, [
    { threshold: random() * 0.1 },
    { margin: random() * 0.05 },
    { description: `as of ${Math.floor(random() * 1_000)}` },
    { templatesPerIdentityMax: 4 + Math.floor(random() * 5), refuseReasons: ['blurred'] },
  ]);
  return { kind: 'settings', gallery: gallery.name, change: change ?? {} };
}
