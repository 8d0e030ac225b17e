/**
 * How well clusters agree with people. Pure arithmetic.
 *
 * Pairwise: of the pairs of faces in one cluster, the share of one person (precision); of the pairs of one person, the share in one cluster (recall). Large
 * people weigh by the square of their faces. BCubed (Amigo, Gonzalo, Artiles, Verdejo, A comparison of extrinsic clustering evaluation metrics,
 * Information Retrieval 12, 2009): the same shares for each face, its own included, and their means over faces. F is the harmonic mean of the two means.
 */

export interface PrecisionRecall {
  /** Share, [0, 1]. */
  readonly precision: number;
  readonly recall: number;
  /** Harmonic mean of both: F1. */
  readonly f: number;
}

export interface ClusterScores {
  readonly faceCount: number;
  readonly personCount: number;
  readonly clusterCount: number;
  /** Precision is 1 where no two faces are in one cluster, recall where no person has two. */
  readonly pairwise: PrecisionRecall;
  readonly bcubed: PrecisionRecall;
  /** Clusters that are all faces of a person and nobody else's. */
  readonly wholeCount: number;
}

/**
 * @param clusters positions of faces, each in one cluster
 * @param people the person of each face
 */
export function scoreClusters(clusters: readonly (readonly number[])[], people: readonly string[]): ClusterScores {
  const facesOf = countBy(people);
  let [togetherPairs, rightPairs, precisions, recalls, faceCount, wholeCount] = [0, 0, 0, 0, 0, 0];
  for (const members of clusters) {
    const shares = countBy(members.map((member) => people[member] as string));
    togetherPairs += pairsAmong(members.length);
    faceCount += members.length;
    for (const [person, count] of shares) {
      const whole = facesOf.get(person) as number;
      rightPairs += pairsAmong(count);
      precisions += (count * count) / members.length;
      recalls += (count * count) / whole;
      if (count === members.length && count === whole) wholeCount++;
    }
  }
  const personPairs = [...facesOf.values()].reduce((sum, count) => sum + pairsAmong(count), 0);
  return {
    faceCount,
    personCount: facesOf.size,
    clusterCount: clusters.length,
    pairwise: withF(share(rightPairs, togetherPairs), share(rightPairs, personPairs)),
    bcubed: withF(share(precisions, faceCount), share(recalls, faceCount)),
    wholeCount,
  };
}

function countBy(names: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

function pairsAmong(count: number): number {
  return (count * (count - 1)) / 2;
}

/** Of nothing, all is right. */
function share(part: number, whole: number): number {
  return whole === 0 ? 1 : part / whole;
}

function withF(precision: number, recall: number): PrecisionRecall {
  return { precision, recall, f: precision + recall === 0 ? 0 : (2 * precision * recall) / (precision + recall) };
}
