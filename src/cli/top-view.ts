/** What `harmonid top` shows of a server: lines of text, from what happened between two looks. Pure. */
import type { Span } from './metric-samples.js';
import type { Paint } from './terminal.js';
import { bytesText, nothing, table } from './wording.js';

const stages = ['decode', 'detect', 'align', 'embed', 'search', 'write'] as const;
const decisions = ['match', 'no-match', 'ambiguous'] as const;

export function topLines(paint: Paint, span: Span): string {
  return [headline(paint, span), calls(paint, span), work(paint, span), galleries(paint, span)]
    .filter((part) => part !== '')
    .join('\n\n');
}

function headline(paint: Paint, { after }: Span): string {
  const { version = '', pack = '', provider = '' } = after.labels('harmonid_info');
  const startedS = after.value('process_start_time_seconds') ?? after.atMs / 1000;
  const facts = [
    `up ${durationText(after.atMs / 1000 - startedS)}`,
    `memory ${bytesText(after.value('process_resident_memory_bytes') ?? 0)}`,
    `store ${bytesText(after.value('harmonid_store_bytes') ?? 0)}`,
    `event loop p99 ${msText(after.value('nodejs_eventloop_lag_p99_seconds'))}`,
  ];
  return `${paint('bold', `harmonid ${version}`)}  ${pack === '' ? 'vectors only' : `${pack} on ${provider}`}\n${paint('dim', facts.join('   '))}`;
}

function calls(paint: Paint, span: Span): string {
  const { after } = span;
  const methods = after.values('harmonid_calls_in_flight', 'method');
  const rows = methods.map((method) => {
    const all = span.perSecond('harmonid_calls_total', { method });
    const failed = all - span.perSecond('harmonid_calls_total', { method, code: 'OK' });
    return [
      method,
      rateText(all),
      String(after.sum('harmonid_calls_in_flight', { method })),
      msText(span.quantile('harmonid_call_seconds', { method }, 0.5)),
      msText(span.quantile('harmonid_call_seconds', { method }, 0.99)),
      failed > 0 ? paint('yellow', rateText(failed)) : rateText(failed),
    ];
  });
  const refused = span.perSecond('harmonid_refused_at_door_total');
  const door = `refused at the door ${refused > 0 ? paint('red', rateText(refused)) : rateText(refused)}/s`;
  const decided = decisions.map(
    (decision) => `${decision} ${rateText(span.perSecond('harmonid_decisions_total', { decision }))}/s`,
  );
  const shown =
    rows.length === 0 ? 'no calls yet' : table(paint, ['call', 'per s', 'in flight', 'p50', 'p99', 'failed/s'], rows);
  return `${shown}\n${paint('dim', [...decided, door].join('   '))}`;
}

function work(paint: Paint, span: Span): string {
  const { after } = span;
  const stageRows = stages.map((stage) => [
    stage,
    rateText(span.perSecond('harmonid_stage_seconds_count', { stage })),
    msText(span.quantile('harmonid_stage_seconds', { stage }, 0.5)),
    msText(span.quantile('harmonid_stage_seconds', { stage }, 0.99)),
  ]);
  const laneRows = after.values('harmonid_lane_running', 'lane').map((lane) => {
    const refused = span.perSecond('harmonid_lane_refused', { lane });
    return [
      lane,
      String(after.value('harmonid_lane_running', { lane }) ?? 0),
      String(after.value('harmonid_lane_waiting', { lane }) ?? 0),
      rateText(span.perSecond('harmonid_lane_admitted', { lane })),
      refused > 0 ? paint('red', rateText(refused)) : rateText(refused),
      msText((after.value('harmonid_lane_wait_ms', { lane }) ?? 0) / 1000),
    ];
  });
  return [
    table(paint, ['stage', 'per s', 'p50', 'p99'], stageRows),
    table(paint, ['lane', 'running', 'waiting', 'begun/s', 'refused/s', 'wait'], laneRows),
  ].join('\n\n');
}

function galleries(paint: Paint, { after }: Span): string {
  const rows = after.values('harmonid_gallery_templates', 'gallery').map((gallery) => {
    const of = (name: string): number | null => after.value(`harmonid_${name}`, { gallery });
    const recall = of('graph_recall_ratio');
    const rollout = after
      .values('harmonid_rollout_state', 'state')
      .find((state) => after.value('harmonid_rollout_state', { gallery, state }) === 1);
    return [
      gallery,
      String(of('gallery_identities') ?? 0),
      String(of('gallery_templates') ?? 0),
      String(of('graph_pending_templates') ?? 0),
      recall === null ? nothing : recall.toFixed(3),
      durationText(of('graph_checkpoint_age_seconds')),
      rollout ?? nothing,
    ];
  });
  return rows.length === 0
    ? ''
    : table(paint, ['gallery', 'people', 'templates', 'pending', 'recall', 'checkpoint', 'rollout'], rows);
}

function rateText(perSecond: number): string {
  return perSecond >= 100 ? perSecond.toFixed(0) : perSecond.toFixed(1);
}

function msText(seconds: number | null): string {
  if (seconds === null) return nothing;
  const ms = 1000 * seconds;
  return `${ms >= 100 ? ms.toFixed(0) : ms.toFixed(1)} ms`;
}

function durationText(seconds: number | null): string {
  if (seconds === null) return nothing;
  if (seconds < 90) return `${Math.max(0, seconds).toFixed(0)} s`;
  if (seconds < 5400) return `${(seconds / 60).toFixed(0)} min`;
  return seconds < 172_800 ? `${(seconds / 3600).toFixed(1)} h` : `${(seconds / 86_400).toFixed(1)} d`;
}
