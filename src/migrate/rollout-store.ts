/**
 * Where a rollout is kept: documents of its gallery (index/gallery-documents.ts), put in the same transaction as the change of lanes that they tell of.
 *
 * `rollout` is the newest rollout; `journal/…` its events and those of the ones before, numbered, never changed; `rollout-counts` what live probes have shown; `rollout-fit-people` whom the newest fit learned from, as ordinals; `adapter-…` the ONNX files, which
 * are guarded as the templates are: an adapter learned from people, and can help to invert their templates.
 */
import { HarmonidError } from '../errors.js';
import type { GalleryMove, IdentityIndex, LaneChange } from '../index/index-api.js';
import type {
  FitReport,
  FitSummary,
  JournalEntry,
  Rollout,
  RolloutState,
  RolloutTarget,
  ShadowCounts,
} from './rollout.js';

/** A rollout without what is counted anew each time. */
export interface RolloutRecord {
  readonly state: RolloutState;
  readonly from: RolloutTarget;
  readonly to: RolloutTarget;
  readonly startedAt: number;
  readonly activatedAt: number | null;
  readonly fit: FitSummary | null;
  readonly canary: Rollout['canary'];
  /** Share of the image probes that go through both models. */
  readonly shadowShare: number;
  /** Null when live probes are not kept. */
  readonly pairRetentionDays: number | null;
  readonly alarm: string | null;
  /** In active: image probes are judged by both models together. */
  readonly fused: boolean;
  /** In active: confident live probes take the places of mapped templates. */
  readonly reEnrols: boolean;
}

export const adapterNames = { forward: 'adapter-forward', backward: 'adapter-backward' } as const;
export type AdapterDirection = keyof typeof adapterNames;

/** What a step changes beside the record and the journal. */
export interface Step {
  readonly record: RolloutRecord;
  readonly event: string;
  readonly lanes?: readonly LaneChange[];
  readonly documents?: GalleryMove['documents'];
}

const recordName = 'rollout';
const reportName = 'rollout-report';
const countsName = 'rollout-counts';
const fitPeopleName = 'rollout-fit-people';
const journalBeginning = 'journal/';

export const noCounts = { [countsName]: null } as const;
export const noDocuments = {
  ...noCounts,
  [reportName]: null,
  [fitPeopleName]: null,
  [adapterNames.forward]: null,
  [adapterNames.backward]: null,
} as const;

export class RolloutStore {
  readonly #index: IdentityIndex;
  readonly #clock: () => number;
  /** By gallery, with the moment at which the gallery was made: one that was deleted and made again is another. */
  readonly #known = new Map<string, { readonly madeAt: number; readonly record: RolloutRecord | null }>();

  constructor(index: IdentityIndex, clock: () => number) {
    this.#index = index;
    this.#clock = clock;
  }

  /** Null when the gallery never had one. @throws GALLERY_NOT_FOUND */
  find(gallery: string): RolloutRecord | null {
    const madeAt = this.#index.getGallery(gallery).createdAt.getTime();
    const known = this.#known.get(gallery);
    if (known?.madeAt === madeAt) return known.record;
    const bytes = this.#index.document(gallery, recordName);
    const record = bytes ? (JSON.parse(bytes.toString()) as RolloutRecord) : null;
    this.#known.set(gallery, { madeAt, record });
    return record;
  }

  /** @throws ROLLOUT_NOT_FOUND, GALLERY_NOT_FOUND */
  get(gallery: string): RolloutRecord {
    const record = this.find(gallery);
    if (record) return record;
    throw new HarmonidError('ROLLOUT_NOT_FOUND', `gallery "${gallery}" has no rollout`, { details: { gallery } });
  }

  /** All of it in one transaction. */
  async put(gallery: string, { record, event, lanes, documents }: Step): Promise<void> {
    const number = this.#lastNumber(gallery) + 1;
    const entry: JournalEntry = { number, at: this.#clock(), state: record.state, event };
    await this.#index.move(gallery, {
      lanes,
      documents: {
        ...documents,
        [recordName]: json(record),
        [`${journalBeginning}${String(number).padStart(8, '0')}`]: json(entry),
      },
    });
    this.#remember(gallery, record);
  }

  /** Live probes through both spaces, as they were last written down. */
  counts(gallery: string): ShadowCounts | undefined {
    const bytes = this.#index.document(gallery, countsName);
    return bytes && (JSON.parse(bytes.toString()) as ShadowCounts);
  }

  /** By themselves: what is counted on the way never takes a step back. */
  async putCounts(gallery: string, counts: ShadowCounts): Promise<void> {
    await this.#index.move(gallery, { documents: { [countsName]: json(counts) } });
  }

  /** Since a time, oldest first. */
  journal(gallery: string, sinceMs: number): readonly JournalEntry[] {
    return this.#index
      .documentNames(gallery, journalBeginning)
      .flatMap((name) => {
        const bytes = this.#index.document(gallery, name);
        return bytes ? [JSON.parse(bytes.toString()) as JournalEntry] : [];
      })
      .filter(({ at }) => at >= sinceMs);
  }

  /** Undefined before a fit. */
  report(gallery: string): FitReport | undefined {
    const bytes = this.#index.document(gallery, reportName);
    return bytes && (JSON.parse(bytes.toString()) as FitReport);
  }

  adapter(gallery: string, direction: AdapterDirection): Buffer | undefined {
    return this.#index.document(gallery, adapterNames[direction]);
  }

  /** Ordinals of whom the newest fit learned from; none before it, and after the end. */
  fitPeople(gallery: string): readonly string[] {
    const bytes = this.#index.document(gallery, fitPeopleName);
    return bytes ? (JSON.parse(bytes.toString()) as string[]) : [];
  }

  static fitPeopleDocument(people: readonly string[]): GalleryMove['documents'] {
    return { [fitPeopleName]: json(people) };
  }

  static reportDocument(report: FitReport): GalleryMove['documents'] {
    return { [reportName]: json(report) };
  }

  #lastNumber(gallery: string): number {
    const last = this.#index.documentNames(gallery, journalBeginning).at(-1);
    return last === undefined ? 0 : Number(last.slice(journalBeginning.length));
  }

  #remember(gallery: string, record: RolloutRecord): void {
    const madeAt = this.#index.getGallery(gallery).createdAt.getTime();
    this.#known.set(gallery, { madeAt, record });
  }
}

function json(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}
