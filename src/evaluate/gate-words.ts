/**
 * What gates ask and what their figures mean, for people: in which unit, which way is better, by how much one misses. Pure.
 */
import type { Gate, GateName } from '../migrate/rollout.js';
import { countText, decimalText, percentText, pointsText } from '../report/page.js';

type Unit = 'count' | 'share' | 'points' | 'ratio';

interface GateWords {
  readonly title: string;
  readonly question: string;
  readonly unit: Unit;
  /** How what was found must lie to what is wanted; `within` is that factor up or down. */
  readonly wants: 'at least' | 'at most' | 'within';
}

export const gateWords: Readonly<Record<GateName, GateWords>> = {
  'enough-people': {
    title: 'Enough people',
    question: 'Are there enough people and comparisons to know anything?',
    unit: 'count',
    wants: 'at least',
  },
  compatibility: {
    title: 'Compatibility',
    question: 'Are people recognised at least as well as by staying? (difference in VAL)',
    unit: 'points',
    wants: 'at least',
  },
  calibration: {
    title: 'Calibration',
    question: 'Does a threshold let in as many impostors among other people as it promises? (times the rate promised)',
    unit: 'ratio',
    wants: 'within',
  },
  identification: {
    title: 'Identification',
    question: 'Are searches answered at least as well as by staying? (difference in FNIR)',
    unit: 'points',
    wants: 'at most',
  },
  'negative-flips': {
    title: 'Negative flips',
    question: 'How many searches find somebody today and would not any more?',
    unit: 'share',
    wants: 'at most',
  },
  collapse: {
    title: 'Collapse',
    question: 'Do mapped vectors still differ in as many directions as the new model’s own?',
    unit: 'ratio',
    wants: 'at least',
  },
  belonging: {
    title: 'Belonging',
    question: 'Were the pairs made by the model and of the people of this gallery?',
    unit: 'share',
    wants: 'at least',
  },
  groups: {
    title: 'Groups',
    question: 'Does any group of people fare worse, beside all, than before? (times)',
    unit: 'ratio',
    wants: 'at most',
  },
};

/** A gate's figure in its unit. */
export function amount(value: number | null, unit: Unit): string {
  switch (unit) {
    case 'count':
      return countText(value);
    case 'share':
      return percentText(value);
    case 'points':
      return pointsText(value);
    case 'ratio':
      return decimalText(value, 2);
  }
}

/** Empty when the gate wants nothing that is known. */
export function wantedText({ gate, wanted }: Gate): string {
  const { unit, wants } = gateWords[gate];
  if (wanted === null) return '';
  const bound = unsigned(amount(wanted, unit));
  return wants === 'within' ? `within ${bound} times, up or down` : `${wants} ${bound}`;
}

/** By how much a gate misses what is wanted; empty when what was found does not miss it, or is not known. */
export function missText({ gate, value, interval, wanted }: Gate): string {
  if (value === null || wanted === null) return '';
  const { unit, wants } = gateWords[gate];
  const short = (low: number): string => `${difference(low - value, unit)} short`;
  const over = (high: number): string => `${difference(value - high, unit)} over`;
  if (wants === 'within') return value > wanted ? over(wanted) : value < 1 / wanted ? short(1 / wanted) : '';
  if (wants === 'at least' ? value < wanted : value > wanted)
    return wants === 'at least' ? short(wanted) : over(wanted);
  const worst = interval?.[wants === 'at least' ? 0 : 1];
  const isSure = worst === undefined || (wants === 'at least' ? worst >= wanted : worst <= wanted);
  return isSure ? '' : `not beyond chance: it may be ${amount(worst, unit)}`;
}

/** Of two amounts, positive. */
function difference(value: number, unit: Unit): string {
  return unsigned(amount(value, unit === 'share' ? 'points' : unit));
}

/** A bound or a size is not a change. */
function unsigned(text: string): string {
  return text.replace(/^\+/, '');
}
