/**
 * Groups as sets of owners, in memory that the graph's thread shares.
 *
 * Built from the memberships when first asked for, kept for the next search, and changed in place with every change of memberships; thrown away
 * when many others were asked for since.
 */
import { keyParts, ranges } from './codec.js';
import type { OwnerSet } from './graph.js';
import type { StoreReader } from './store.js';

export interface GroupSets {
  /** Owners in at least one of the groups. @param ownersMax one more than the largest owner */
  setOf(groups: readonly string[], ownersMax: number): OwnerSet;
  /** The owners themselves, or undefined when there are more than `limit`. */
  membersOf(groups: readonly string[], limit: number): readonly number[] | undefined;
  /** To be called after the memberships of an owner have become those of `groups`. */
  regroup(owner: number, groups: readonly string[]): void;
}

interface Kept {
  readonly groups: ReadonlySet<string>;
  set: OwnerSet;
}

/** Larger keeps more combinations of groups at an eighth of a byte an identity each. */
const setsKeptMax = 64;

export function openGroupSets(reader: StoreReader, gallery: number): GroupSets {
  const kept = new Map<string, Kept>();

  function* members(groups: readonly string[]): Iterable<number> {
    for (const group of groups) {
      for (const { key } of reader.range('memberships', ...ranges.membersOf(gallery, group)))
        yield keyParts.member(key);
    }
  }

  return {
    setOf(groups, ownersMax) {
      const name = groups.toSorted().join('\0');
      const found = kept.get(name);
      if (found) return found.set;
      const oldest = kept.keys().next();
      if (kept.size === setsKeptMax && !oldest.done) kept.delete(oldest.value);
      const set = emptySet(ownersMax);
      for (const owner of members(groups)) include(set, owner);
      kept.set(name, { groups: new Set(groups), set });
      return set;
    },
    membersOf(groups, limit) {
      const found = new Set<number>();
      for (const owner of members(groups)) {
        found.add(owner);
        if (found.size > limit) return undefined;
      }
      return [...found];
    },
    regroup(owner, groups) {
      for (const entry of kept.values()) {
        if (groups.some((group) => entry.groups.has(group))) {
          if (owner >>> 5 >= entry.set.length) {
            const larger = emptySet(owner + 1);
            larger.set(entry.set);
            entry.set = larger;
          }
          include(entry.set, owner);
        } else if (owner >>> 5 < entry.set.length) {
          entry.set[owner >>> 5] = (entry.set[owner >>> 5] ?? 0) & ~(1 << (owner & 31));
        }
      }
    },
  };
}

/** With room for half as many again. */
function emptySet(ownersMax: number): OwnerSet {
  return new Uint32Array(new SharedArrayBuffer((Math.ceil((ownersMax * 1.5) / 32) + 1) * 4));
}

function include(set: OwnerSet, owner: number): void {
  set[owner >>> 5] = (set[owner >>> 5] ?? 0) | (1 << (owner & 31));
}
