/**
 * The comparison of what was found with what was acknowledged. Every disagreement is one line of text that names the identity, what
 * was allowed and what was found. Pure.
 */
import type { LedgerEntry, LedgerPage, PersonState, WriteKind } from './ledger.js';
import { isSamePerson, isSameVector, printPerson } from './person-match.js';
import { groupNames, type Found, type Nearest } from './testimony.js';

/** A search with a template's own vector finds it at this distance at most: float32 rounding. */
const ownDistanceMax = 1e-6;

export function judge(page: LedgerPage, found: Found): string[] {
  return [
    ...judgeOpening(found),
    ...judgePeople(page, found),
    ...judgeCounts(page, found),
    ...judgeNumbers(page, found),
    ...judgeGroups(found),
    ...judgeSearches(found),
    ...judgeErased(page, found),
  ];
}

/** Attempts that were in flight, by whether they turned out to be done. Those that change nothing to be seen are left out. */
export function outcomesInFlight(page: LedgerPage, found: Found): { kind: WriteKind; isApplied: boolean }[] {
  return [...page.entries].flatMap(([identity, { inFlight }]) => {
    if (!inFlight) return [];
    return { kind: inFlight.kind, isApplied: isSamePerson(found.people.get(identity) ?? null, inFlight.after) };
  });
}

function judgeOpening({ warnings, strayFiles }: Found): string[] {
  return [
    ...warnings.map((warning) => `opening warned: ${warning}`),
    ...strayFiles.map((file) => `a stray file is left after opening: ${file}`),
  ];
}

function judgePeople({ entries }: LedgerPage, { people }: Found): string[] {
  const known = [...entries].flatMap(([identity, entry]) => {
    const state = people.get(identity) ?? null;
    const { acknowledged, inFlight } = entry;
    if (isSamePerson(state, acknowledged) || (inFlight && isSamePerson(state, inFlight.after))) return [];
    return `${identity} is ${nameOfFault(entry, state)}: acknowledged ${printPerson(acknowledged)}; in flight ${
      inFlight ? `${inFlight.kind}, then ${printPerson(inFlight.after)}` : 'nothing'
    }; found ${printPerson(state)}`;
  });
  const unknown = [...people].flatMap(([identity, state]) =>
    entries.has(identity) ? [] : `${identity} was never enrolled: found ${printPerson(state)}`,
  );
  return [...known, ...unknown];
}

function nameOfFault({ acknowledged, inFlight }: LedgerEntry, state: PersonState): string {
  if (!state) return 'lost';
  if (!acknowledged && !inFlight?.after) return 'resurrected';
  const most = Math.max(acknowledged?.templates.length ?? 0, inFlight?.after?.templates.length ?? 0);
  return state.templates.length > most ? 'doubled' : 'neither what it was nor what it was to be';
}

function judgeCounts(page: LedgerPage, { sequence, identityCount, templateCount, people, exported }: Found): string[] {
  const faults: string[] = [];
  if (sequence < page.sequence) faults.push(`the sequence is ${sequence}, ${page.sequence} was acknowledged`);
  if (identityCount !== people.size) faults.push(`${identityCount} identities are counted, ${people.size} listed`);
  if (templateCount !== exported.size) faults.push(`${templateCount} templates are counted, ${exported.size} exported`);
  return faults;
}

function judgeNumbers({ numbers }: LedgerPage, { people, exported }: Found): string[] {
  return [...people].flatMap(([identity, { templates }]) =>
    templates.flatMap(({ template, vector }) => {
      if (template === null) return [];
      const faults: string[] = [];
      const first = numbers.get(template);
      if (first && !isSameVector(first, vector)) {
        faults.push(`template ${template} of ${identity} has another vector than the one that first had the number`);
      }
      const owner = exported.get(template);
      if (owner !== identity) faults.push(`template ${template} is listed for ${identity}, exported for ${owner}`);
      return faults;
    }),
  );
}

function judgeGroups({ people, members }: Found): string[] {
  return groupNames.flatMap((group) => {
    const expected = [...people].flatMap(([identity, { groups }]) => (groups.includes(group) ? identity : []));
    const listed = members.get(group) ?? [];
    return expected.toSorted().join() === listed.toSorted().join()
      ? []
      : `group ${group} lists ${listed.join()}, its people are ${expected.join()}`;
  });
}

function judgeSearches({ searches }: Found): string[] {
  return searches.flatMap(({ identity, template, exact, graph }) => {
    const isOwn = (nearest: Nearest | null): boolean =>
      nearest !== null &&
      nearest.identity === identity &&
      nearest.template === template &&
      nearest.distance <= ownDistanceMax;
    const faults: string[] = [];
    if (!isOwn(exact)) faults.push(`exact search for ${identity} ${template} finds ${JSON.stringify(exact)}`);
    if (!isOwn(graph)) faults.push(`graph search for ${identity} ${template} finds ${JSON.stringify(graph)}`);
    return faults;
  });
}

function judgeErased({ entries }: LedgerPage, { people, broughtUp }: Found): string[] {
  return [...broughtUp].flatMap(([erased, identities]) =>
    identities.flatMap((identity) => {
      const entry = entries.get(identity);
      if (identity !== erased && people.has(identity) && entry) return [];
      return `a search with the vector of ${erased}, which was erased, names ${identity}`;
    }),
  );
}
