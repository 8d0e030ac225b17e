/**
 * The opening of shadow: the gates have their last word, then the new space's lane opens beside the one that serves.
 *
 * A gate that refuses and is not overruled by name keeps the lane closed; one that is overruled is in the record, the report and the journal.
 */
import { HarmonidError } from '../errors.js';
import { isRefusing } from './gates.js';
import type { RolloutContext } from './rollout-context.js';
import { refusal } from './rollout-refusal.js';
import { noCounts, RolloutStore, type RolloutRecord } from './rollout-store.js';
import type { GateName } from './rollout.js';

/** @throws GATE_REFUSED, ROLLOUT_STATE before a fit */
export async function openShadow(
  { store }: RolloutContext,
  gallery: string,
  record: RolloutRecord,
  overrule: readonly GateName[],
): Promise<void> {
  const { fit, to } = record;
  if (!fit) throw refusal(gallery, 'has no adapter yet');
  const gates = fit.gates.map((gate) => ({ ...gate, overruled: isRefusing(gate) && overrule.includes(gate.gate) }));
  const refusing = gates.filter(isRefusing);
  if (refusing.length > 0) {
    const [first] = refusing;
    throw new HarmonidError(
      'GATE_REFUSED',
      `the adapter of gallery "${gallery}" may not serve: ${refusing.map(({ gate }) => gate).join(', ')} (${first?.message})`,
      { details: { gallery, gates: refusing } },
    );
  }
  const overruled = gates.filter((gate) => gate.overruled);
  const native = fit.cells.find(({ probe, template }) => probe === 'new' && template === 'native');
  const isMeasured = native?.support === 'measured';
  const report = store.report(gallery);
  const mapped = report?.calibration ?? [];
  await store.put(gallery, {
    record: { ...record, state: 'shadow', fit: { ...fit, gates } },
    event:
      overruled.length === 0
        ? 'shadow: the gallery is being mapped'
        : `shadow, overruling ${overruled.map(({ gate }) => gate).join(', ')}: the gallery is being mapped`,
    documents: { ...noCounts, ...(report && RolloutStore.reportDocument({ ...report, gates })) },
    lanes: [
      {
        kind: 'open',
        lane: {
          space: to.space,
          dimensions: to.dimensions,
          threshold: isMeasured ? native.threshold : to.threshold,
          thresholdSource: isMeasured ? `rollout: FAR ${fit.far} on the pairs' people` : "the model pack's",
          ...(mapped.length > 0 && { calibration: { mapped } }),
        },
      },
    ],
  });
}
