/**
 * Pages of reports that are written by hand, read back by a strict reader: what is on a page is compared with texts worked out by hand from the
 * report, and every other figure on it must be one of the report's. Awkward reports have names that are markup, gates of every verdict, and nothing
 * where figures should be.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { escapeText, markup, rateText, table } from '../../src/report/page.js';
import { histogramPlot } from '../../src/report/histogram-plot.js';
import { linePlot } from '../../src/report/line-plot.js';
import { renderRolloutPage } from '../../src/evaluate/rollout-page.js';
import {
  gateNames,
  type AdapterManifest,
  type FitCurve,
  type FitReport,
  type Gate,
  type GateName,
  type Rollout,
} from '../../src/migrate/rollout.js';
import { elementsOf, readPage, tableOf, textOf, type PageElement } from './page-reader.js';

const attack = `"><script>alert('1')</script><img src=x onerror=alert(1)>&amp;`;

function gate(name: GateName, change: Partial<Gate> = {}): Gate {
  return {
    gate: name,
    verdict: 'passed',
    message: `${name} was asked`,
    remedy: '',
    value: 0.97,
    interval: null,
    wanted: 0.9,
    overruled: false,
    ...change,
  };
}

const allPassed = gateNames.map((name) => gate(name));

function withGates(...changed: readonly Gate[]): readonly Gate[] {
  return allPassed.map((one) => changed.find((other) => other.gate === one.gate) ?? one);
}

function curve(row: FitCurve['row'], lift: number): FitCurve {
  return {
    row,
    name: `curve of ${row}`,
    roc: [
      [1e-4, 0.61 + lift],
      [1e-3, 0.72 + lift],
      [1e-2, 0.83 + lift],
    ],
    det: [
      [1e-3, 0.31 - lift],
      [1e-2, 0.17 - lift],
      [1e-1, 0],
    ],
    genuineHistogram: [0.2, 0.5, 0.3, 0],
    impostorHistogram: [0, 0.1, 0.4, 0.5],
    binMax: 2,
  };
}

function manifest(change: Partial<AdapterManifest>): AdapterManifest {
  return {
    sha256: 'ab'.repeat(32),
    bytes: 67_912,
    fromSpace: 'old-space',
    toSpace: 'new-space',
    fromDimensions: 128,
    toDimensions: 512,
    pairsDigest: 'cd'.repeat(32),
    pairs: 3_889,
    people: 2_163,
    estimator: 'ridge 0.3',
    folds: 5,
    seed: 7,
    fittedAt: Date.UTC(2027, 2, 4, 5, 6, 7),
    ...change,
  };
}

const report: FitReport = {
  gallery: 'lobby',
  forward: manifest({}),
  backward: manifest({ sha256: 'ef'.repeat(32), bytes: 45_678 }),
  scores: [
    { name: 'procrustes', val: 0.6543, fnir: 0.2345, behindBest: 0.1357, standardError: 0.0124 },
    { name: 'ridge 0.3', val: 0.79, fnir: 0.1298, behindBest: 0, standardError: 0 },
  ],
  chosen: 'ridge 0.3',
  far: 1e-3,
  val: { old: 0.8943, mapped: 0.9157, fused: 0.9532, new: 0.9871 },
  updateGain: 0.2306,
  fusion: { oldShare: 0.4, threshold: 0.9 },
  cells: [
    { probe: 'old', template: 'old', threshold: 0.4321, comparisons: 98_612, support: 'measured' },
    { probe: 'new', template: 'mapped', threshold: 1.3725, comparisons: 98_613, support: 'measured' },
    { probe: 'mapped-back', template: 'old', threshold: 0.5678, comparisons: 24, support: 'not-measurable' },
  ],
  gates: allPassed,
  curves: [curve('old', 0), curve('mapped', 0.03), curve('fused', 0.06), curve('new', 0.1)],
  lost: [
    { person: 'once', searches: 8, lost: 1 },
    { person: 'thrice', searches: 4, lost: 3 },
  ],
  calibration: [
    [0.25, 0.125],
    [1.5, 1.375],
  ],
};

const rollout: Rollout = {
  gallery: 'lobby',
  state: 'gated',
  from: { pack: 'old-pack', space: 'old-space', dimensions: 128, threshold: 0.36 },
  to: { pack: null, space: 'new-space', dimensions: 512, threshold: 1.1 },
  startedAt: Date.UTC(2027, 2, 4, 4, 3, 2),
  pairs: { pairs: 3_889, people: 2_163 },
  fit: report,
  templates: { templates: 4_120, mapped: 3_100, native: 37, reEmbedded: 11 },
  canary: { share: 0.125, groups: ['night & day'] },
  shadow: { compared: 1_600, negativeFlips: 4, positiveFlips: 20, bothFound: 1_500, meanOld: 0.412, meanNew: null },
  probes: { share: 1, retentionDays: null },
  erasedSinceFit: 0,
  fused: false,
  reEnrols: false,
  alarm: null,
  journal: [
    { number: 1, at: Date.UTC(2027, 2, 4, 4, 3, 2), state: 'draft', event: 'started' },
    { number: 2, at: Date.UTC(2027, 2, 4, 5, 6, 7), state: 'gated', event: 'fitted' },
  ],
};

async function read(changes: Partial<FitReport> = {}, rolloutChanges: Partial<Rollout> = {}): Promise<PageElement> {
  return readPage(await renderRolloutPage({ ...report, ...changes }, { ...rollout, ...rolloutChanges }));
}

/** Headline, and everything that stands with it. */
function verdictOf(page: PageElement): { headline: string; all: string; tone: string } {
  const [header] = elementsOf(page, 'header');
  assert.ok(header, 'a page has a verdict');
  const [h1] = elementsOf(header, 'h1');
  assert.ok(h1, 'a verdict has a headline');
  return { headline: textOf(h1), all: textOf(header), tone: header.attributes.get('class') ?? '' };
}

/** What must hold for any report. */
function soundness(page: PageElement, html: string): void {
  const all = elementsOf(page);
  // Sources and handlers could load or run something; there is no reason for any.
  const dangerous = all.filter(
    ({ tag, attributes }) =>
      ['script', 'img', 'link', 'iframe', 'object', 'embed', 'image', 'use', 'a', 'base', 'form'].includes(tag) ||
      [...attributes.keys()].some((name) => /^on|^(xlink:)?href$|^src/.test(name)),
  );
  assert.deepEqual(dangerous, []);
  const styles = elementsOf(page, 'style').map(textOf);
  assert.equal(styles.length, 1);
  assert.doesNotMatch(styles.join(''), /url\(|@import|<|&/);
  assert.doesNotMatch(html.replaceAll(/ xmlns(:xlink)?="http:\/\/www\.w3\.org\/[\w/]+"/g, ''), /https?:\/\//);
  const ids = all.flatMap(({ attributes }) => attributes.get('id') ?? []);
  assert.deepEqual(ids, [...new Set(ids)]);
  for (const { attributes } of elementsOf(page, 'section'))
    assert.ok(ids.includes(attributes.get('aria-labelledby') ?? ''), 'a section is named by its heading');
  for (const one of elementsOf(page, 'table')) {
    assert.notEqual(elementsOf(one, 'caption').map(textOf).join(''), '');
    const [head, ...rows] = elementsOf(one, 'tr');
    assert.ok(head && rows.length > 0, 'a table has a head and rows');
    const scopes = elementsOf(one, 'th').map(({ attributes }) => attributes.get('scope'));
    assert.deepEqual(scopes, [...elementsOf(head, 'th').map(() => 'col'), ...rows.map(() => 'row')]);
    for (const row of rows) assert.equal(elementsOf(row, 'td').length + 1, elementsOf(head, 'th').length);
  }
  for (const one of elementsOf(page, 'figure')) assert.notEqual(elementsOf(one, 'figcaption').map(textOf).join(''), '');
  for (const { attributes } of elementsOf(page, 'svg')) {
    assert.equal(attributes.get('role'), 'img');
    assert.ok((attributes.get('aria-label') ?? '').length > 10, 'a plot says what it shows');
  }
  assert.doesNotMatch(textOf(page), /NaN|Infinity|undefined|\[object/);
  assert.doesNotMatch(html.replace(/<style>.*?<\/style>/s, ''), /NaN|Infinity|undefined/);
}

describe('rollout page', () => {
  it('is well formed, needs nothing from elsewhere, and names what it shows', async () => {
    const html = await renderRolloutPage(report, rollout);
    const page = readPage(html);
    soundness(page, html);
    assert.equal(elementsOf(page, 'svg').length, 5);
    assert.equal(elementsOf(page, 'title').map(textOf).join(), 'May be activated: rollout of gallery lobby');
    assert.equal(html, await renderRolloutPage(report, rollout), 'the same report gives the same page');
  });

  describe('verdict', () => {
    it('may be activated when every gate that applies was passed', async () => {
      const { headline, all, tone } = verdictOf(
        await read({ gates: withGates(gate('groups', { verdict: 'not-applicable', value: null })) }),
      );
      assert.equal(headline, 'May be activated');
      assert.equal(tone, 'verdict good');
      assert.match(all, /Every gate that applies was passed\./);
      assert.match(all, /Rollout of gallery lobby: old-pack → new-space, adapter: ridge 0\.3/);
    });

    it('tells which gate refuses, by how much, and what would help', async () => {
      const refused = gate('compatibility', {
        verdict: 'refused',
        value: -0.0219,
        interval: [-0.036, -0.0118],
        wanted: 0,
        message: 'mapped is worse than staying',
        remedy: 'collect pairs of more people',
      });
      const { headline, all, tone } = verdictOf(await read({ gates: withGates(refused) }));
      assert.equal(headline, 'May not be activated');
      assert.equal(tone, 'verdict bad');
      assert.match(all, /1 gate refuses it\./);
      assert.match(
        all,
        /Compatibility: refused, 2\.19 points short\. Mapped is worse than staying\. What would help: Collect pairs of more people\./,
      );
      assert.doesNotMatch(all, /Collapse|Groups/);
    });

    const misses: readonly [GateName, number, number, string][] = [
      ['enough-people', 60, 100, '40 short'],
      ['identification', 0.031, 0, '3.10 points over'],
      ['negative-flips', 0.0171, 0.005, '1.21 points over'],
      ['collapse', 0.66, 0.8, '0.14 short'],
      ['calibration', 1.52, 1.3, '0.22 over'],
      // 1 / 1.25 = 0.8
      ['calibration', 0.55, 1.25, '0.25 short'],
      ['belonging', 0.755, 0.8, '4.50 points short'],
      ['groups', 1.73, 1.25, '0.48 over'],
    ];
    for (const [name, value, wanted, text] of misses) {
      it(`${name} of ${value} where ${wanted} is wanted is ${text}`, async () => {
        const { all } = verdictOf(await read({ gates: withGates(gate(name, { verdict: 'refused', value, wanted })) }));
        assert.ok(all.includes(`: refused, ${text}. `), all);
      });
    }

    it('a gate that is refused for its interval says so', async () => {
      const unsure = gate('compatibility', { verdict: 'refused', value: 0.01, interval: [-0.02, 0.04], wanted: 0 });
      const { all } = verdictOf(await read({ gates: withGates(unsure) }));
      assert.match(all, /Compatibility: refused, not beyond chance: it may be −2\.00 points\./);
    });

    it('what cannot be measured keeps it from serving, too', async () => {
      const gates = withGates(gate('calibration', { verdict: 'not-measurable', value: null, wanted: null }));
      const { headline, all } = verdictOf(await read({ gates }));
      assert.equal(headline, 'May not be activated');
      assert.match(all, /1 gate cannot be measured\./);
      assert.match(all, /Calibration: not measurable\. /);
    });

    it('what was not asked keeps it from serving, too', async () => {
      const { headline, all } = verdictOf(await read({ gates: allPassed.filter(({ gate }) => gate !== 'collapse') }));
      assert.equal(headline, 'May not be activated');
      assert.match(all, /1 gate was not asked\. Collapse: not asked\./);
      assert.equal(verdictOf(await read({ gates: [] })).headline, 'May not be activated');
    });

    it('an overruled gate is told in the headline and with its reason', async () => {
      const flips = gate('negative-flips', { verdict: 'refused', value: 0.0171, wanted: 0.005, overruled: true });
      const { headline, all, tone } = verdictOf(await read({ gates: withGates(flips) }));
      assert.equal(headline, 'May be activated, overruled');
      assert.equal(tone, 'verdict unsure');
      assert.match(all, /Negative flips: refused, overruled, 1\.21 points over\./);
      const still = withGates(flips, gate('collapse', { verdict: 'refused', value: 0.5 }));
      assert.equal(verdictOf(await read({ gates: still })).headline, 'May not be activated');
    });

    it('an alarm comes before the gates', async () => {
      const { headline, all, tone } = verdictOf(await read({}, { state: 'rolled-back', alarm: 'too many lost' }));
      assert.equal(headline, 'Rolled back by itself');
      assert.equal(tone, 'verdict bad');
      assert.match(all, /Alarm: too many lost/);
    });
  });

  it('gates of every verdict stand in the table, in the order of their names', async () => {
    const rows = tableOf(
      await read({
        gates: withGates(
          gate('compatibility', {
            verdict: 'refused',
            value: -0.02,
            interval: [-0.03, -0.01],
            wanted: 0,
            remedy: 'more',
          }),
          gate('calibration', { verdict: 'not-measurable', value: null, wanted: null, remedy: 'wait' }),
          gate('groups', { verdict: 'not-applicable', value: null, wanted: 1.25 }),
          gate('belonging', { verdict: 'refused', value: 0.5, wanted: 0.8, overruled: true }),
        ).filter(({ gate }) => gate !== 'identification'),
      }),
      'Gates',
    );
    assert.equal(rows.length, 1 + gateNames.length);
    const row = (title: string): readonly string[] => rows.find(([head]) => head?.startsWith(title))?.slice(1) ?? [];
    assert.deepEqual(row('Enough people'), ['passed', '1', 'at least 1', 'Enough-people was asked.']);
    assert.deepEqual(row('Compatibility'), [
      'refused',
      '−2.00 points −3.00 to −1.00',
      'at least 0.00 points',
      'Compatibility was asked. What would help: More.',
    ]);
    assert.deepEqual(row('Calibration'), [
      'not measurable',
      'not measurable',
      '',
      'Calibration was asked. What would help: Wait.',
    ]);
    assert.deepEqual(row('Identification'), ['not asked', '', '', '']);
    assert.deepEqual(row('Negative flips').slice(0, 3), ['passed', '97.00 %', 'at most 90.00 %']);
    assert.deepEqual(row('Belonging').slice(0, 3), ['refused overruled', '50.00 %', 'at least 80.00 %']);
    assert.deepEqual(row('Groups').slice(0, 3), ['not applicable', 'does not apply', 'at most 1.25']);
  });

  it('rates, thresholds, estimators, people, adapters and the journal are the report’s', async () => {
    const page = await read();
    assert.deepEqual(tableOf(page, 'What would be gained').slice(1), [
      ['Staying', '89.43 %', '–', '106', 'curve of old'],
      ['Mapped', '91.57 %', '+2.14 points', '84', 'curve of mapped'],
      ['Fused', '95.32 %', '+5.89 points', '47', 'curve of fused'],
      ['Photos again', '98.71 %', '+9.28 points', '13', 'curve of new'],
    ]);
    assert.match(textOf(page), /Update gain: 0\.23\. 0 is staying/);
    assert.deepEqual(tableOf(page, 'From and to').slice(1), [
      ['From', 'old-pack', 'old-space', '128', '0.3600'],
      ['To', 'none: vectors are made elsewhere', 'new-space', '512', '1.1000'],
    ]);
    assert.deepEqual(tableOf(page, 'Thresholds').slice(1), [
      ['old', 'old', '0.4321', '98,612', 'measured'],
      ['new', 'mapped', '1.3725', '98,613', 'measured'],
      ['mapped back', 'old', '0.5678', '24', 'not measurable'],
    ]);
    assert.deepEqual(tableOf(page, 'Who would be lost').slice(1), [
      ['thrice', '4', '3', '75.00 %'],
      ['once', '8', '1', '12.50 %'],
    ]);
    assert.deepEqual(tableOf(page, 'How the adapter was chosen').slice(1), [
      ['procrustes', '65.43 %', '13.57 %', '1.24 %', '23.45 %', ''],
      ['ridge 0.3', '79.00 %', '0.00 %', '0.00 %', '12.98 %', 'chosen'],
    ]);
    const adapters = new Map(tableOf(page, 'Adapters').map(([name, ...values]) => [name, values]));
    assert.deepEqual(adapters.get('SHA-256'), ['ab'.repeat(32), 'ef'.repeat(32)]);
    assert.deepEqual(adapters.get('Size'), ['67,912 bytes', '45,678 bytes']);
    assert.deepEqual(adapters.get('Fitted on')?.[0], '3,889 pairs of 2,163 people');
    assert.deepEqual(adapters.get('Fitted at')?.[0], '2027-03-04 05:06:07 UTC');
    assert.deepEqual(tableOf(page, 'Journal').slice(1), [
      ['1', '2027-03-04 04:03:02 UTC', 'draft', 'started'],
      ['2', '2027-03-04 05:06:07 UTC', 'gated', 'fitted'],
    ]);
    assert.match(textOf(page), /Found by the old model only 4 \(0\.25 %\)/);
    assert.match(textOf(page), /old 0\.412, new not measurable/);
  });

  it('shows no number that is not of the report or one step away from it', async () => {
    const page = await read();
    const steps = [
      ...Object.values(report.val).flatMap((val) => [val - report.val.old, 1000 * (1 - val)]),
      ...report.lost.map(({ lost, searches }) => lost / searches),
      ...[4, 20, 1_500].map((count) => count / 1_600),
      1 / report.far,
      report.lost.length,
    ];
    const fixed = ['0', '1', '4', '95', '100', '1,000', '2'];
    const known = new Set(fixed);
    for (const value of [...numbersIn(report), ...numbersIn(rollout), ...steps]) {
      for (const digits of [0, 2, 3, 4]) known.add(Math.abs(value).toFixed(digits));
      known
        .add(Math.abs(100 * value).toFixed(2))
        .add(String(value))
        .add(value.toExponential());
      known.add(value.toLocaleString('en-US', { maximumFractionDigits: 0 }));
    }
    const shown = elementsOf(page, 'body').map(withoutPlots).map(textOf).join(' ');
    const dates = /\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/g;
    const words = /\b(SHA-256|L2|[a-f0-9]{64})\b/g;
    const tokens =
      shown
        .replace(dates, '')
        .replace(words, '')
        .match(/\d+(,\d{3})*(\.\d+)?(e-?\d+)?/g) ?? [];
    assert.ok(tokens.length > 80, `only ${tokens.length} numbers were found`);
    assert.deepEqual(
      tokens.filter((token) => !known.has(token)),
      [],
    );
  });

  it('escapes every text of the input, wherever it stands', async () => {
    const hostile = (value: unknown): unknown => {
      if (typeof value === 'string') return `${attack} \u0000\ud800 ${value}`;
      if (Array.isArray(value)) return (value as unknown[]).map(hostile);
      if (typeof value !== 'object' || value === null) return value;
      return Object.fromEntries(
        Object.entries(value).map(([key, one]) =>
          // These are words of the protocol, not texts.
          ['gate', 'verdict', 'state', 'row', 'probe', 'template', 'support'].includes(key)
            ? [key, one]
            : [key, hostile(one)],
        ),
      );
    };
    const html = await renderRolloutPage(
      hostile({ ...report, gates: withGates(gate('collapse', { verdict: 'refused', remedy: 'r' })) }) as FitReport,
      hostile({ ...rollout, alarm: 'a', to: { ...rollout.to, pack: 'p' } }) as Rollout,
    );
    const page = readPage(html);
    soundness(page, html);
    const text = textOf(page);
    for (const told of ['once', 'thrice', 'night & day', 'old-pack', 'new-space', 'collapse was asked', 'started', 'p'])
      assert.ok(text.includes(`${attack} \ufffd\ufffd ${told}`), `${told} is on the page as it was given`);
    assert.equal(elementsOf(page, 'bdi').filter((bdi) => textOf(bdi).startsWith('"><script>')).length >= 5, true);
  });

  it('says so where nothing was measured', async () => {
    const nothing: FitReport = {
      ...report,
      scores: [],
      val: { old: Number.NaN, mapped: Number.NaN, fused: Number.NaN, new: Number.NaN },
      updateGain: null,
      cells: [{ probe: 'old', template: 'old', threshold: Number.NaN, comparisons: 0, support: 'not-measurable' }],
      gates: gateNames.map((name) => gate(name, { verdict: 'not-measurable', value: null, wanted: null })),
      curves: [{ row: 'old', name: '', roc: [], det: [], genuineHistogram: [], impostorHistogram: [], binMax: 4 }],
      lost: [],
      calibration: [],
    };
    // Through JSON, NaN is null: both must do.
    for (const one of [nothing, { ...nothing, curves: [] }, JSON.parse(JSON.stringify(nothing)) as FitReport]) {
      const html = await renderRolloutPage(one, { ...rollout, journal: [], canary: null });
      const page = readPage(html);
      soundness(page, html);
      assert.equal(elementsOf(page, 'svg').length, 0);
      assert.equal(textOf(page).split('Nothing to draw').length - 1, 4);
      assert.match(textOf(page), /Update gain: not measurable/);
      assert.match(textOf(page), /Nobody among the people tested/);
      assert.deepEqual(tableOf(page, 'What would be gained')[2]?.slice(0, 4), [
        'Mapped',
        'not measurable',
        'not measurable',
        'not measurable',
      ]);
      assert.deepEqual(tableOf(page, 'Thresholds')[1], ['old', 'old', 'not measurable', '0', 'not measurable']);
    }
  });

  it('names the worst of many lost people and counts the others', async () => {
    const lost = Array.from({ length: 203 }, (_, i) => ({ person: `p${i}`, searches: 300, lost: i + 1 }));
    const page = await read({ lost });
    const rows = tableOf(page, 'Who would be lost');
    assert.equal(rows.length, 201);
    assert.equal(rows[1]?.[0], 'p202');
    assert.match(textOf(page), /203 people found by staying .* 3 more are in the report\./);
  });

  it('tells what logarithmic axes cannot show', async () => {
    const page = await read({ curves: [curve('old', 0), { ...curve('new', 0), det: [[1e-2, 0]] }] });
    assert.match(textOf(page), /Staying: 1 point at zero, which these axes cannot show\./);
    assert.match(textOf(page), /Photos again: zero everywhere, which these axes cannot show\./);
  });
});

describe('plots', () => {
  it('a curve goes through its points, where the axes put them', async () => {
    const plot = await linePlot({
      title: 'a line for a test',
      x: { title: 'x', scale: 'log', ticks: 'rate', domain: [1e-4, 1] },
      y: { title: 'y', scale: 'linear', ticks: 'percent', domain: [0, 1] },
      series: [
        {
          name: 'one',
          ink: 'blue',
          dash: [],
          points: [
            [1e-4, 0],
            [1e-2, 0.5],
            [1, 1],
          ],
        },
      ],
    });
    // 400 wide, 260 high, y downwards: a corner, the middle, the other corner.
    assert.ok(plot, 'there is something to draw');
    assert.ok(plot.html.includes('d="M0,260L200,130L400,0"'), plot.html);
    for (const label of ['1e-4', '1e-2', '1e+0', '60%']) assert.ok(plot.html.includes(`>${label}</text>`), label);
  });

  it('a band of confidence lies around its curve, and ends where the plot does', async () => {
    const plot = await linePlot({
      title: 'a band for a test',
      x: { title: 'x', scale: 'log', ticks: 'rate', domain: [1e-2, 1] },
      y: { title: 'y', scale: 'linear', ticks: 'percent', domain: [0, 1] },
      series: [
        {
          name: 'one',
          ink: 'blue',
          dash: [],
          points: [
            [1e-2, 0.5],
            [1, 0.5],
          ],
          band: [
            { x: 1e-3, low: 0, high: 1 },
            { x: 1e-2, low: 0.25, high: 0.75 },
            { x: 1, low: -1, high: 0.75 },
          ],
        },
      ],
    });
    assert.ok(plot?.html.includes('d="M0,65L400,65L400,260L0,195Z"'), plot?.html);
  });

  it('a single point is a dot, points that cannot be drawn are left out, and none is no plot', async () => {
    const axes = {
      title: 'nothing much',
      x: { title: 'x', scale: 'log', ticks: 'rate' },
      y: { title: 'y', scale: 'log', ticks: 'rate' },
    } as const;
    const line = { name: 'one', ink: 'blue', dash: [] } as const;
    const dot = await linePlot({
      ...axes,
      series: [
        {
          ...line,
          points: [
            [0, 1],
            [1e-3, 0.2],
            [1, Number.NaN],
          ],
        },
      ],
    });
    assert.match(dot?.html ?? '', /class="mark-symbol[^>]*><path/);
    assert.doesNotMatch(dot?.html ?? '', /NaN|Infinity/);
    assert.equal(await linePlot({ ...axes, series: [{ ...line, points: [[0, 1]] }] }), null);
    assert.equal(await linePlot({ ...axes, series: [] }), null);
  });

  it('a histogram has a step a bin and its threshold where it lies', async () => {
    const plot = await histogramPlot({
      title: 'a histogram for a test',
      x: { title: 'x', ticks: 'decimal', domain: [0, 4] },
      y: { title: 'y', ticks: 'percent', domain: [0, 1] },
      histograms: [{ name: 'one', ink: 'blue', dash: [], shares: [0.5, 0.25, 0.25, 0], binMax: 4 }],
      rules: [{ x: 1, label: 'threshold <1>' }],
    });
    assert.match(plot?.html ?? '', /d="M0,130L100,130L100,195/);
    assert.match(plot?.html ?? '', /<line transform="translate\(100,0\)" x2="0" y2="260"/);
    assert.match(plot?.html ?? '', />threshold &lt;1&gt;<\/text>/);
    assert.equal(
      await histogramPlot({
        title: 'none',
        x: { title: 'x', ticks: 'decimal' },
        y: { title: 'y', ticks: 'percent' },
        histograms: [{ name: 'one', ink: 'blue', dash: [], shares: [0, 0], binMax: 4 }],
      }),
      null,
    );
  });
});

describe('page', () => {
  it('escapes strings and leaves markup', () => {
    assert.equal(escapeText(`<a b='c' d="e">&`), '&lt;a b=&#39;c&#39; d=&quot;e&quot;&gt;&amp;');
    assert.equal(
      markup`<p>${'<b>'}${markup`<i>${'&'}</i>`}${['<', markup`<br>`]}</p>`.html,
      '<p>&lt;b&gt;<i>&amp;</i>&lt;<br></p>',
    );
    assert.equal(escapeText('a\u0000b\ud800c\ttab'), 'a\ufffdb\ufffdc\ttab');
  });

  it('rates are powers of ten, zero is zero', () => {
    assert.deepEqual([1e-3, 2.5e-4, 0, 0.1, null, Number.NaN].map(rateText), [
      '1e-3',
      '2.5e-4',
      '0',
      '1e-1',
      'not measurable',
      'not measurable',
    ]);
  });

  it('a table without rows says why', () => {
    assert.equal(
      table({ caption: 'c', columns: [], rows: [], empty: 'none <yet>' }).html,
      '<p class="empty">none &lt;yet&gt;</p>',
    );
  });
});

function numbersIn(value: unknown): number[] {
  if (typeof value === 'number') return [value];
  if (typeof value === 'string') return (value.match(/\d+(\.\d+)?/g) ?? []).map(Number);
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(numbersIn) : [];
}

function withoutPlots(element: PageElement): PageElement {
  const children = element.children
    .filter((child) => typeof child === 'string' || child.tag !== 'svg')
    .map((child) => (typeof child === 'string' ? child : withoutPlots(child)));
  return { ...element, children };
}
