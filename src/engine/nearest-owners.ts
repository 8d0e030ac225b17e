/** The k nearest distinct owners offered so far, each by its best template; ties are broken by owner, and within one by label. */
export interface OwnerHit {
  readonly owner: number;
  readonly label: number;
  readonly distance: number;
}

export class NearestOwners {
  readonly #k: number;
  readonly #hits: OwnerHit[] = [];
  /** Distance beyond which an offer changes nothing: infinite until k owners are known. */
  worst = Infinity;

  constructor(k: number) {
    this.#k = k;
  }

  get count(): number {
    return this.#hits.length;
  }

  /** Nearest first. */
  get hits(): readonly OwnerHit[] {
    return this.#hits;
  }

  offer(owner: number, label: number, distance: number): void {
    const hits = this.#hits;
    const known = hits.findIndex((hit) => hit.owner === owner);
    if (known >= 0) {
      const hit = hits[known] as OwnerHit;
      if (hit.distance < distance || (hit.distance === distance && hit.label <= label)) return;
      hits.splice(known, 1);
    }
    let position = hits.length;
    while (position > 0 && comesBefore(distance, owner, hits[position - 1] as OwnerHit)) position--;
    hits.splice(position, 0, { owner, label, distance });
    if (hits.length > this.#k) hits.pop();
    this.worst = hits.length === this.#k ? (hits[this.#k - 1] as OwnerHit).distance : Infinity;
  }
}

function comesBefore(distance: number, owner: number, hit: OwnerHit): boolean {
  return distance < hit.distance || (distance === hit.distance && owner < hit.owner);
}
