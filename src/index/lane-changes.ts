/**
 * What moving a gallery to another space does to it: a lane is opened beside, filled, made the one that serves, and dropped.
 *
 * As the other changes (gallery-changes.ts): inside the store's transaction, validated before anything is put. While there is a lane beside,
 * enrolments put a template's vectors in both lanes and removals take both; what was enrolled before is filled in by whoever moves the gallery.
 */
import { HarmonidError } from '../errors.js';
import { keys, markCodec, type LaneRecord } from './codec.js';
import { grown, log, putTemplate, requireRoom, putVector, takeTemplate, type GalleryEdit } from './gallery-changes.js';
import { findOwner, templatesOf } from './identity-reads.js';
import type { LaneChange, LaneDraft, LaneSettings, LaneTemplate, TemplateDraft } from './index-api.js';
import { keyOfLane, lanesOf, servingLane, switchedLanes } from './lanes.js';

/** Of the lane that `openLane` would make. */
export function laneToOpen(edit: Pick<GalleryEdit, 'record'>, draft: LaneDraft): LaneRecord {
  const { space, dimensions, threshold, thresholdSource, calibration } = draft;
  const lane = edit.record.nextLane ?? servingLane(edit.record).lane + 1;
  return { lane, space, dimensions, threshold, thresholdSource, templateCount: 0, ...(calibration && { calibration }) };
}

/** @throws ROLLOUT_STATE when there is one beside already, or the space is the one that serves */
function openLane(edit: GalleryEdit, draft: LaneDraft): void {
  const { gallery, record } = edit;
  const present = lanesOf(record);
  if (present.length > 1 || record.space === draft.space) {
    throw new HarmonidError(
      'ROLLOUT_STATE',
      `gallery "${gallery}" has the spaces ${present.map(({ space }) => `"${space}"`).join(' and ')}; "${draft.space}" cannot be put beside`,
      { details: { gallery, spaces: present.map(({ space }) => space), space: draft.space } },
    );
  }
  const beside = laneToOpen(edit, draft);
  log(edit, { kind: 'lanes', owner: null, added: [], removed: [] }, { beside, nextLane: beside.lane + 1 });
}

/** @returns the numbers of lanes that are no more */
export function changeLanes(edit: GalleryEdit, change: LaneChange): readonly number[] {
  switch (change.kind) {
    case 'open':
      openLane(edit, change.lane);
      return [];
    case 'set':
      setLane(edit, change.space, change.settings);
      return [];
    case 'switch':
      switchLane(edit, change.space);
      return [];
    case 'drop':
      return dropLane(edit, change.space);
  }
}

/** Gives templates that have none their vectors beside; those that are gone, or have one by now, are passed over. @returns how many it gave */
export function fillLane(edit: GalleryEdit, space: string, templates: readonly LaneTemplate[]): number {
  const { writer, record } = edit;
  const lane = besideIn(edit, space);
  requireRoom(edit, lane, templates.length);
  let filled = 0;
  for (const { owner, template, vector, origin } of templates) {
    if (writer.get('templates', keys.template(record.number, owner, template, lane.lane))) continue;
    const known = templatesOf(writer, keyOfLane(record, servingLane(record)), owner).find(
      (one) => one.template === template,
    );
    if (!known) continue;
    putVector(edit, { lane: lane.lane, owner, template }, { ...known.record, space, vector, origin });
    filled++;
  }
  if (filled > 0) {
    log(edit, { kind: 'lanes', owner: null, added: [], removed: [] }, grown(record, 0, filled));
  }
  return filled;
}

/**
 * A template under a new number, with other vectors: a label of a graph is never used again.
 * @returns the new number; null when the template is gone
 */
export function replaceTemplate(
  edit: GalleryEdit,
  owner: number,
  template: number,
  draft: TemplateDraft,
): number | null {
  const { record, writer } = edit;
  if (!findOwner(writer, record, owner)) return null;
  if (!writer.get('templates', keys.template(record.number, owner, template, servingLane(record).lane))) return null;
  const besides = takeTemplate(edit, owner, template);
  const number = record.nextTemplate;
  putTemplate(edit, owner, number, draft);
  const hasBeside = edit.added.filter(({ label }) => label === number).length > 1;
  log(
    edit,
    { kind: 'enroll', owner, added: [number], removed: [template] },
    { ...grown(record, 0, (hasBeside ? 1 : 0) - besides), nextTemplate: number + 1 },
  );
  return number;
}

/** The lane beside serves from now on. @throws ROLLOUT_STATE unless it has every template */
function switchLane(edit: GalleryEdit, space: string): void {
  const { gallery, record } = edit;
  const beside = besideIn(edit, space);
  if (beside.templateCount !== record.templateCount) {
    throw new HarmonidError(
      'ROLLOUT_STATE',
      `gallery "${gallery}" has ${record.templateCount} templates, ${beside.templateCount} of them in space "${space}": not all people would be found`,
      { details: { gallery, space, templateCount: record.templateCount, besideCount: beside.templateCount } },
    );
  }
  edit.record = switchedLanes(record, beside);
  log(edit, { kind: 'lanes', owner: null, added: [], removed: [] });
}

/** Other thresholds and calibrations of a lane. */
function setLane(edit: GalleryEdit, space: string, settings: LaneSettings): void {
  const { record } = edit;
  if (record.space === space) edit.record = { ...record, ...settings };
  else edit.record = { ...record, beside: { ...besideIn(edit, space), ...settings } };
  log(edit, { kind: 'lanes', owner: null, added: [], removed: [] });
}

/** The lane beside is no more; what it held is removed afterwards. @returns its number; nothing when there was none of that space */
function dropLane(edit: GalleryEdit, space: string): readonly number[] {
  const { record, writer } = edit;
  if (record.beside?.space !== space) return [];
  const { beside, ...rest } = record;
  edit.record = rest;
  const key = keys.drop(record.number, beside.lane);
  writer.put('meta', key, markCodec.encode(key, {}));
  log(edit, { kind: 'lanes', owner: null, added: [], removed: [] });
  return [beside.lane];
}

/** @throws ROLLOUT_STATE */
function besideIn({ gallery, record }: GalleryEdit, space: string): LaneRecord {
  if (record.beside?.space === space) return record.beside;
  throw new HarmonidError(
    'ROLLOUT_STATE',
    `gallery "${gallery}" has ${record.beside ? `space "${record.beside.space}"` : 'nothing'} beside, not "${space}"`,
    { details: { gallery, beside: record.beside?.space ?? null, space } },
  );
}
