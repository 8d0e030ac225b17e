/**
 * Whether memory grew from round to round. Rounds are equal in length and kind, and what attacks left in the database is removed after each.
 *
 * The rule: the first round warms up and is not looked at. The lowest floor of the later half of the others must not lie above the lowest of
 * the earlier half by more than `heapGrowthMax` for what JavaScript holds after a collection, or by more than `residentGrowthMax` for what is
 * resident. A leak of a kilobyte a call is over the first within minutes, one of a photo an image over both. Resident memory is coarse,
 * since allocators keep what they have freed: it is looked at when each half has two floors.
 */
import type { Floor } from './report.js';

/** Bytes. */
const heapGrowthMax = 8 * 2 ** 20;

/** As a share of the earlier floor. */
const residentGrowthMax = 1 / 8;

/** In words, what grew. */
export function growthOf(floors: readonly Floor[]): readonly string[] {
  const warm = floors.slice(1);
  const half = warm.length >> 1;
  if (half === 0) return [];
  const [earlier, later] = [warm.slice(0, half), warm.slice(-half)];
  const lowest = (of: readonly Floor[], bytesOf: (floor: Floor) => number): number => Math.min(...of.map(bytesOf));
  const javascript = (floor: Floor): number => floor.heapBytes + floor.externalBytes;
  const resident = (floor: Floor): number => floor.residentBytes;
  const rules = [{ name: 'what JavaScript holds', bytesOf: javascript, growthMax: heapGrowthMax }];
  if (half > 1)
    rules.push({
      name: 'resident memory',
      bytesOf: resident,
      growthMax: residentGrowthMax * lowest(earlier, resident),
    });
  return rules.flatMap(({ name, bytesOf, growthMax }) => {
    const [from, to] = [lowest(earlier, bytesOf), lowest(later, bytesOf)];
    return to - from > growthMax
      ? [`${name} grew from ${from} to ${to} bytes, more than ${Math.round(growthMax)} allow`]
      : [];
  });
}
