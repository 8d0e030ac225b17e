/**
 * Method: the alerts and the dashboard against the figures of a real server that did everything once: calls, refusals, a graph, a checkpoint, a rollout
 * with a fit, TLS. A name, a label or a value that an expression asks for and that server does not tell is a typing error. The runbooks are looked up in the
 * manual as GitHub would.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'mocha';
import { parse } from 'yaml';
import { lanes } from '../../src/admission.js';
import { errorCodes } from '../../src/errors.js';
import { repositoryPath } from '../support/paths.js';
import { readExpression } from './expressions.js';
import { toldByRealServer, type Told } from './told-metrics.js';

/** Prometheus adds them to whatever it reads. */
const targetLabels = ['job', 'instance'];
/** Prometheus makes it itself, of each target. */
const ownMetric = 'up';

const read = (...path: string[]): string => readFileSync(join(repositoryPath, ...path), 'utf8');

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: { readonly severity: string };
  readonly annotations: Readonly<Record<string, string>>;
}

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

interface Dashboard {
  readonly panels: readonly Panel[];
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly query: string | { query: string } }[];
  };
}

const { groups } = parse(read('deploy', 'alerts.yaml')) as {
  groups: readonly { name: string; rules: readonly Rule[] }[];
};
const rules = groups.flatMap((group) => group.rules);
const dashboard = JSON.parse(read('deploy', 'grafana-dashboard.json')) as Dashboard;
const manual = read('docs', 'OPERATIONS.md');
const panelExpressions = dashboard.panels.flatMap(({ targets }) => targets?.map(({ expr }) => expr) ?? []);

/** As GitHub makes it of a heading. */
function anchorOf(heading: string): string {
  const bare = heading.toLowerCase().replaceAll(/[^\p{L}\d\s-]/gu, '');
  return bare.replaceAll(' ', '-');
}

describe('an expression', () => {
  it('is read for metrics, matchers and groupings', () => {
    const { selectors, groupings } = readExpression(
      `histogram_quantile(0.99, sum by (le, stage) (rate(a_bucket{x="1", y=~"a|b"}[5m]))) > 0.5 or b unless on (z) c offset 1d`,
    );
    assert.deepEqual(
      selectors.map(({ metric }) => metric),
      ['a_bucket', 'b', 'c'],
    );
    assert.deepEqual(selectors[0]?.matchers, [
      { label: 'x', operator: '=', value: '1' },
      { label: 'y', operator: '=~', value: 'a|b' },
    ]);
    assert.deepEqual(groupings, ['le', 'stage', 'z']);
  });

  it('with a bracket, a quote, a function or a duration that is wrong is refused', () => {
    for (const wrong of [
      'sum(a',
      'sum(a))',
      'a{x="1}',
      'a{x=1}',
      'a{x "1"}',
      'smu(a)',
      'rate(a[5])',
      'rate(a[m])',
      'a # b',
    ])
      assert.throws(() => readExpression(wrong), { code: 'ERR_ASSERTION' }, wrong);
  });
});

describe('alerts and dashboard', function () {
  this.timeout(120_000);
  let told: Told = new Map();

  before(async () => {
    told = await toldByRealServer();
  });

  const valuesOf = (metric: string, label: string): ReadonlySet<string> => told.get(metric)?.get(label) ?? new Set();

  /** Codes come when there is something wrong; everything else has been told. */
  function isKnownValue(metric: string, label: string, value: string): boolean {
    if (label === 'code') return value === 'OK' || value in errorCodes;
    return valuesOf(metric, label).has(value);
  }

  function check(expression: string): void {
    const { selectors, groupings } = readExpression(expression);
    for (const { metric, matchers } of selectors) {
      if (metric === ownMetric) continue;
      const labels = told.get(metric);
      assert.ok(labels, `nobody tells ${metric}: ${expression}`);
      for (const { label, operator, value } of matchers) {
        if (targetLabels.includes(label)) continue;
        assert.ok(labels.has(label), `${metric} has no label ${label}: ${expression}`);
        if (value.startsWith('$')) continue;
        for (const each of operator.endsWith('~') ? value.split('|') : [value])
          assert.ok(isKnownValue(metric, label, each), `${metric} has no ${label} ${each}: ${expression}`);
      }
    }
    for (const label of groupings) {
      const isKnown = targetLabels.includes(label) || selectors.some(({ metric }) => told.get(metric)?.has(label));
      assert.ok(isKnown, `nothing has the label ${label}: ${expression}`);
    }
  }

  /** Labels that the answers to an expression have. */
  function labelsLeftBy(expression: string): readonly string[] {
    const { selectors, groupings } = readExpression(expression);
    if (/\bby\b/.test(expression)) return groupings;
    return [...targetLabels, ...selectors.flatMap(({ metric }) => [...(told.get(metric)?.keys() ?? [])])];
  }

  it('the server has told of everything once', () => {
    assert.deepEqual([...valuesOf('harmonid_lane_refused', 'lane')], [...lanes]);
    for (const metric of ['harmonid_graph_recall_ratio', 'harmonid_rollout_gate_passed', 'harmonid_rollout_alarm'])
      assert.ok((told.get(metric)?.size ?? 0) > 0, metric);
  });

  it('every expression of an alert asks for what there is', () => {
    for (const { expr } of rules) check(expr);
    assert.ok(rules.length >= 10);
  });

  it('every expression of the dashboard asks for what there is', () => {
    for (const expression of panelExpressions) check(expression);
    assert.ok(panelExpressions.length >= 30);
  });

  it('the variables of the dashboard are values of labels that there are', () => {
    const queries = dashboard.templating.list.flatMap(({ query }) => (typeof query === 'string' ? [] : [query.query]));
    assert.equal(queries.length, 2);
    for (const query of queries) {
      const [, expression = '', label = ''] = /^label_values\((.+), (\w+)\)$/.exec(query) ?? [];
      check(expression);
      assert.ok(labelsLeftBy(expression).includes(label), query);
    }
  });

  it('every alert says how bad it is, what it means and what to do, with a section of the manual that exists', () => {
    const headings = new Set([...manual.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => anchorOf(heading)));
    assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length);
    for (const { alert, labels, annotations, for: lasting = '0m' } of rules) {
      assert.match(alert, /^Harmonid[A-Z]\w+$/);
      assert.match(labels.severity, /^(critical|warning|info)$/, alert);
      assert.match(lasting, /^\d+[mh]$/, alert);
      assert.deepEqual(Object.keys(annotations), ['summary', 'description', 'action', 'runbook'], alert);
      for (const text of Object.values(annotations)) assert.ok(text.length > 20, `${alert}: ${text}`);
      const [page, anchor = ''] = annotations['runbook']?.split('#') ?? [];
      assert.equal(page, 'docs/OPERATIONS.md', alert);
      assert.ok(headings.has(anchor), `${alert}: the manual has no section ${anchor}`);
      assert.ok(manual.includes(`\`${alert}\``), `the manual does not name ${alert}`);
    }
  });

  it('a template of an alert asks for labels that its expression leaves', () => {
    for (const { alert, expr, annotations } of rules) {
      const left = labelsLeftBy(expr);
      for (const [, label = ''] of Object.values(annotations)
        .join(' ')
        .matchAll(/\$labels\.(\w+)/g)) {
        assert.ok(left.includes(label), `${alert}: ${label}`);
      }
    }
  });

  it('the panels lie beside each other, have numbers of their own, and say what they show', () => {
    const cells = new Set<string>();
    assert.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length);
    for (const { type, title, description, gridPos } of dashboard.panels) {
      if (type !== 'row') assert.ok((description?.length ?? 0) > 10, title);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          assert.ok(x < 24 && !cells.has(`${x} ${y}`), `${title} lies on another panel`);
          cells.add(`${x} ${y}`);
        }
      }
    }
  });

  it('a legend asks for labels that the expression leaves', () => {
    for (const { targets = [] } of dashboard.panels) {
      for (const { expr, legendFormat } of targets) {
        const left = labelsLeftBy(expr);
        for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
          assert.ok(left.includes(label), `${expr}: ${label}`);
      }
    }
  });

  it('the manual explains every figure of ours and no other, and the dashboard shows it', () => {
    const familyOf = (name: string): string => name.replace(/(_seconds)_(bucket|sum|count)$/, '$1');
    const ours = (names: Iterable<string>): readonly string[] =>
      [...new Set([...names].filter((name) => name.startsWith('harmonid_')).map(familyOf))].toSorted();
    const shown = panelExpressions.flatMap((expression) =>
      readExpression(expression).selectors.map(({ metric }) => metric),
    );
    const explained = [...manual.matchAll(/^\| `(harmonid_\w+)[`{]/gm)].map(([, name = '']) => name);
    assert.deepEqual(ours(explained), ours(told.keys()));
    assert.deepEqual(ours(shown), ours(told.keys()));
  });
});
