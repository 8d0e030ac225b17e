/**
 * A rollout's report as one HTML page, for whoever decides whether the new model may serve. Pure: the same report gives the same page.
 *
 * The answer stands first: whether it may be activated, and if not which gate refuses, by how much and what would help. What it rests on follows,
 * and every figure is one of the report's or one step of arithmetic away from it. What cannot be measured is said to be so and never left blank;
 * a gate that was not asked has not been passed.
 */
import type {
  AdapterManifest,
  FitCurve,
  FitReport,
  Gate,
  GateName,
  Rollout,
  RolloutTarget,
} from '../migrate/rollout.js';
import { gateNames } from '../migrate/rollout.js';
import { isRefusing } from '../migrate/gates.js';
import { amount, gateWords, missText, wantedText } from './gate-words.js';
import {
  badge,
  code,
  countText,
  decimalText,
  facts,
  figure,
  givenName,
  markup,
  page,
  percentText,
  pointsText,
  rateText,
  section,
  table,
  timeText,
  unknown,
  type Column,
  type Ink,
  type Markup,
  type Tone,
} from '../report/page.js';
import { histogramPlot, type Histogram } from '../report/histogram-plot.js';
import { linePlot, type Series } from '../report/line-plot.js';

export async function renderRolloutPage(given: FitReport, rollout: Rollout): Promise<string> {
  const report = { ...given, val: asMeasured(given.val) };
  const [roc, det, histograms, calibration] = await Promise.all([
    rocFigure(report),
    detFigure(report),
    histogramFigures(report),
    calibrationFigure(report),
  ]);
  return page({
    title: `${judge(report, rollout).headline}: rollout of gallery ${report.gallery}`,
    body: [
      verdictBlock(report, rollout),
      standing(rollout),
      modelsSection(report, rollout),
      section('gates', 'Gates', gatesTable(report.gates)),
      section('val', 'What would be gained', valTable(report), gainNote(report)),
      section('curves', 'Error rates at other operating points', markup`<div class="figures">${[roc, det]}</div>`),
      section('scores', 'Distances', markup`<div class="figures">${histograms}</div>`),
      section('thresholds', 'Thresholds', thresholdTable(report), ...calibration),
      lostSection(report),
      section('estimators', 'How the adapter was chosen', estimatorTable(report)),
      section('adapters', 'Adapters', adapterTable(report)),
      section('journal', 'Journal', journalTable(rollout)),
      wordsSection,
    ],
  });
}

/** Through JSON, NaN becomes null, with which arithmetic would go on as if it were 0. */
function asMeasured({ old, mapped, fused, new: fresh }: FitReport['val']): FitReport['val'] {
  const measured = (val: number | null): number => val ?? Number.NaN;
  return { old: measured(old), mapped: measured(mapped), fused: measured(fused), new: measured(fresh) };
}

// ── Gates ────────────────────────────────────────────────────────────────────────────────────────────────────────────

interface Judgement {
  readonly tone: Tone;
  readonly headline: string;
  readonly refusing: readonly Gate[];
  readonly overruled: readonly Gate[];
  readonly notAsked: readonly GateName[];
}

function judge({ gates }: FitReport, { state, alarm }: Rollout): Judgement {
  const refusing = gates.filter(isRefusing);
  const overruled = gates.filter(({ overruled }) => overruled);
  const notAsked = gateNames.filter((name) => !gates.some(({ gate }) => gate === name));
  const may = refusing.length === 0 && notAsked.length === 0;
  const answer = !may
    ? 'May not be activated'
    : overruled.length > 0
      ? 'May be activated, overruled'
      : 'May be activated';
  const isBack = state === 'rolled-back';
  return {
    tone: !may || alarm !== null ? 'bad' : isBack || overruled.length > 0 ? 'unsure' : 'good',
    headline: alarm === null ? (decided[state] ?? answer) : 'Rolled back by itself',
    refusing,
    overruled,
    notAsked,
  };
}

/** States in which activating is not the question any more. */
const decided: Readonly<Partial<Record<Rollout['state'], string>>> = {
  active: 'Is active',
  completing: 'Is active, and completing',
  complete: 'Complete',
  'rolled-back': 'Rolled back',
};

function verdictBlock(report: FitReport, rollout: Rollout): Markup {
  const { tone, headline, refusing, overruled, notAsked } = judge(report, rollout);
  const refused = refusing.filter(({ verdict }) => verdict === 'refused').length;
  const reasons = [
    numbered(refused, 'gate refuses it', 'gates refuse it'),
    numbered(refusing.length - refused, 'gate cannot be measured', 'gates cannot be measured'),
    numbered(notAsked.length, 'gate was not asked', 'gates were not asked'),
    numbered(overruled.length, 'gate was overruled by an operator', 'gates were overruled by an operator'),
  ].filter((reason) => reason !== '');
  const summary = reasons.length === 0 ? 'Every gate that applies was passed.' : `${reasons.join(', ')}.`;
  const listed = [
    ...[...refusing, ...overruled].map(reason),
    ...notAsked.map((name) => markup`<li><strong>${gateWords[name].title}</strong>: not asked.</li>`),
  ];
  return markup`<header class="verdict ${tone}">
    <p class="kicker">
      Rollout of gallery ${givenName(report.gallery)}: ${givenName(modelName(rollout.from))} →
      ${givenName(modelName(rollout.to))}, adapter: ${givenName(report.chosen)}
    </p>
    <h1>${headline}</h1>
    <p>${summary}</p>
    ${rollout.alarm === null ? '' : markup`<p><strong>Alarm:</strong> ${rollout.alarm}</p>`}
    ${listed.length === 0 ? '' : markup`<ul>${listed}</ul>`}
  </header> `;
}

function reason(gate: Gate): Markup {
  const miss = missText(gate);
  const what = gate.verdict === 'not-measurable' ? unknown : gate.verdict;
  return markup`<li>
    <strong>${gateWords[gate.gate].title}</strong>:
    ${what}${gate.overruled ? ', overruled' : ''}${miss === '' ? '' : markup`, <strong>${miss}</strong>`}.
    ${sentence(gate.message)}${gate.remedy === '' ? '' : markup` <em>What would help:</em> ${sentence(gate.remedy)}`}
  </li> `;
}

const verdictTones: Readonly<Record<Gate['verdict'], Tone>> = {
  passed: 'good',
  refused: 'bad',
  'not-measurable': 'unsure',
  'not-applicable': 'quiet',
};

function gatesTable(gates: readonly Gate[]): Markup {
  const columns: Column[] = [
    { head: 'Gate', kind: 'text' },
    { head: 'Verdict', kind: 'text' },
    { head: 'Found (95 %)', kind: 'text' },
    { head: 'Wanted', kind: 'text' },
    { head: 'What was found, and what would help', kind: 'prose' },
  ];
  const rows = gateNames.flatMap((name) => {
    const { title, question } = gateWords[name];
    const head = markup`<p>${title}</p>
      <span class="note">${question}</span>`;
    const asked = gates.filter(({ gate }) => gate === name);
    if (asked.length === 0) return [[head, badge('bad', 'not asked'), '', '', '']];
    return asked.map((gate) => [
      head,
      markup`${badge(verdictTones[gate.verdict], gate.verdict.replace('-', ' '))}${gate.overruled ? markup` ${badge('unsure', 'overruled')}` : ''}`,
      foundText(gate),
      wantedText(gate),
      markup`<p>${sentence(gate.message)}</p>
        ${gate.remedy === '' ? '' : markup`<p><em>What would help:</em> ${sentence(gate.remedy)}</p>`}`,
    ]);
  });
  return table({
    caption:
      'Each was answered on people whom the adapter had not seen. One that refuses or cannot be measured keeps the new model from serving, unless an operator overrules it.',
    columns,
    rows,
    empty: 'No gate was asked.',
  });
}

function foundText({ gate, verdict, value, interval }: Gate): Markup | string {
  const { unit } = gateWords[gate];
  if (value === null) return verdict === 'not-applicable' ? 'does not apply' : unknown;
  if (interval === null) return amount(value, unit);
  const [low, high] = interval.map((bound) => amount(bound, unit).replace(' points', ''));
  return markup`<p>${amount(value, unit)}</p><span class="note">${low ?? ''} to ${high ?? ''}</span>`;
}

// ── Where it stands ──────────────────────────────────────────────────────────────────────────────────────────────────

const stateWords: Readonly<Record<Rollout['state'], string>> = {
  draft: 'Draft. Nothing changes for anybody.',
  fitted: 'Fitted, and a gate refuses. Nothing changes for anybody: the old model serves.',
  gated: 'Let pass by the gates. The next step is shadow: the gallery is mapped and the old model goes on serving.',
  shadow: 'Shadow. The gallery is mapped and written in both spaces; the old model serves.',
  canary: 'Canary. The new model answers a share of the probes; the old one answers the others.',
  active: 'Active. The new model serves; the old one is kept up to date for a way back.',
  completing: 'Completing. The old vectors are being removed.',
  complete: 'Complete. The old vectors are gone.',
  'rolled-back': 'Rolled back. The old model serves.',
};

function standing({ state, pairs, templates, canary, shadow, startedAt }: Rollout): Markup {
  const shareOf = (count: number): string => `${countText(count)} (${percentText(count / shadow.compared)})`;
  const rows: [string, Markup | string][] = [
    ['State', stateWords[state]],
    ['Started', timeText(startedAt)],
    ['Pairs', `${countText(pairs.pairs)} of ${countText(pairs.people)} people`],
    [
      'Templates',
      `${countText(templates.templates)}; in the new space ${countText(templates.mapped)} mapped, ${countText(templates.native)} native, ${countText(templates.reEmbedded)} re-embedded`,
    ],
  ];
  if (canary) {
    rows.push(['Answered by the new model', percentText(canary.share)]);
    if (canary.groups.length > 0)
      rows.push([
        'And all searches of groups',
        markup`${canary.groups.map((group, i) => markup`${i === 0 ? '' : ', '}${givenName(group)}`)}`,
      ]);
  }
  if (shadow.compared > 0) {
    rows.push(
      ['Live probes through both models', `${countText(shadow.compared)}, found by both ${shareOf(shadow.bothFound)}`],
      ['Found by the old model only', shareOf(shadow.negativeFlips)],
      ['Found by the new model only', shareOf(shadow.positiveFlips)],
      ['Mean of the nearest distances', `old ${decimalText(shadow.meanOld, 3)}, new ${decimalText(shadow.meanNew, 3)}`],
    );
  }
  return facts(rows);
}

function modelName({ pack, space }: RolloutTarget): string {
  return pack ?? space;
}

function modelsSection({ forward }: FitReport, { from, to }: Rollout): Markup {
  const row = (name: string, { pack, space, dimensions, threshold }: RolloutTarget): (Markup | string)[] => [
    name,
    pack === null ? 'none: vectors are made elsewhere' : givenName(pack),
    code(space),
    countText(dimensions),
    decimalText(threshold, 4),
  ];
  return section(
    'models',
    'From and to',
    table({
      caption: `The adapter was fitted on ${countText(forward.pairs)} pairs of ${countText(forward.people)} people: the same faces through both models. Thresholds are squared L2, where no calibration says better.`,
      columns: [
        { head: 'Side', kind: 'text' },
        { head: 'Model pack', kind: 'text' },
        { head: 'Space', kind: 'text' },
        { head: 'Dimensions', kind: 'number' },
        { head: 'Threshold', kind: 'number' },
      ],
      rows: [row('From', from), row('To', to)],
      empty: '',
    }),
  );
}

// ── Rates ────────────────────────────────────────────────────────────────────────────────────────────────────────────

type Row = FitCurve['row'];

const rowOrder: readonly Row[] = ['old', 'mapped', 'fused', 'new'];
const rowWords: Readonly<Record<Row, { name: string; meaning: string; ink: Ink; dash: readonly number[] }>> = {
  old: { name: 'Staying', meaning: 'the old model on both sides', ink: 'grey', dash: [6, 4] },
  mapped: { name: 'Mapped', meaning: 'templates mapped, probes through the new model', ink: 'blue', dash: [] },
  fused: { name: 'Fused', meaning: 'templates mapped, probes through both models', ink: 'orange', dash: [8, 3, 2, 3] },
  new: { name: 'Photos again', meaning: 'everybody enrolled again from photos', ink: 'green', dash: [2, 3] },
};

function valTable({ val, far, curves }: FitReport): Markup {
  return table({
    caption: `VAL at FAR ${rateText(far)}: how often somebody is recognised when one impostor in ${countText(1 / far)} is let in. On people outside the fit.`,
    columns: [
      { head: 'Way', kind: 'text' },
      { head: 'VAL', kind: 'number' },
      { head: 'Against staying', kind: 'number' },
      { head: 'Turned away, of 1,000', kind: 'number' },
      { head: 'What is compared', kind: 'text' },
    ],
    rows: rowOrder.map((row) => [
      rowWords[row].name,
      percentText(val[row]),
      row === 'old' ? '–' : pointsText(val[row] - val.old),
      countText(1000 * (1 - val[row])),
      curves.find((curve) => curve.row === row)?.name ?? rowWords[row].meaning,
    ]),
    empty: '',
  });
}

function gainNote({ updateGain, val }: FitReport): Markup {
  const meaning = '0 is staying with the old model, 1 is as good as enrolling everybody’s photos again.';
  if (updateGain === null) return markup`<p><strong>Update gain: ${unknown}.</strong> ${meaning}</p>`;
  return markup`<p>
    <strong>Update gain: ${decimalText(updateGain, 2)}.</strong> ${meaning} It is (mapped − staying) / (photos again −
    staying)${val.mapped < val.old ? '; below 0, mapping makes things worse' : ''}.
  </p>`;
}

function seriesOf(curves: readonly FitCurve[], pick: (curve: FitCurve) => Series['points']): readonly Series[] {
  return rowOrder.flatMap((row) =>
    curves.filter((curve) => curve.row === row).map((curve) => ({ ...rowWords[row], points: pick(curve) })),
  );
}

async function rocFigure({ curves, far, val }: FitReport): Promise<Markup> {
  const plot = await linePlot({
    title: `ROC: VAL over FAR of ${rowOrder.map((row) => rowWords[row].name.toLowerCase()).join(', ')}; the figures at FAR ${rateText(far)} are in the table above`,
    x: { title: 'FAR: share of impostors let in', scale: 'log', ticks: 'rate' },
    y: { title: 'VAL: share recognised', scale: 'linear', ticks: 'percent' },
    series: seriesOf(curves, ({ roc }) => roc),
    marked: rowOrder.map((row) => ({ series: rowWords[row].name, point: [far, val[row]] as const })),
    rules: [{ x: far, label: `FAR ${rateText(far)}` }],
  });
  return figure(
    plot,
    markup`<strong>ROC.</strong> Higher is better. Dots: the operating point, as in the table above.`,
  );
}

async function detFigure({ curves }: FitReport): Promise<Markup> {
  const series = seriesOf(curves, ({ det }) => det);
  const plot = await linePlot({
    title: `DET: FNIR over FPIR of ${rowOrder.map((row) => rowWords[row].name.toLowerCase()).join(', ')}`,
    x: { title: 'FPIR: share of strangers named', scale: 'log', ticks: 'percent' },
    y: { title: 'FNIR: share of the enrolled not named', scale: 'log', ticks: 'percent' },
    series,
  });
  return figure(plot, markup`<strong>DET of searches.</strong> Lower is better.${zerosText(series)}`);
}

/** What logarithmic axes cannot show. */
function zerosText(series: readonly Series[]): string {
  return series
    .map(({ name, points }) => {
      const zeros = points.filter(([x, y]) => x <= 0 || y <= 0).length;
      if (zeros === 0) return '';
      if (zeros === points.length) return ` ${name}: zero everywhere, which these axes cannot show.`;
      return ` ${name}: ${numbered(zeros, 'point', 'points')} at zero, which these axes cannot show.`;
    })
    .join('');
}

/** Staying and mapped beside each other; distances of different spaces have no axis in common. */
async function histogramFigures({ curves, cells }: FitReport): Promise<readonly Markup[]> {
  const shown = (['old', 'mapped'] as const).map((row) => ({ row, curve: curves.find((curve) => curve.row === row) }));
  return Promise.all(
    shown.map(async ({ row, curve }) => {
      const [probe, template] = row === 'old' ? (['old', 'old'] as const) : (['new', 'mapped'] as const);
      const cell = cells.find((one) => one.probe === probe && one.template === template);
      const threshold = cell && Number.isFinite(cell.threshold) && cell.threshold >= 0 ? cell.threshold : null;
      const { name } = rowWords[row];
      const binMax = curve?.binMax ?? 0;
      const histograms: Histogram[] = [
        { name: 'The same person', ink: 'blue', dash: [], shares: curve?.genuineHistogram ?? [], binMax },
        { name: 'Different people', ink: 'orange', dash: [4, 2], shares: curve?.impostorHistogram ?? [], binMax },
      ];
      const plot = await histogramPlot({
        title: `${name}: histogram of the distances of the same person and of different people${threshold === null ? '' : `, with the threshold ${decimalText(threshold, 3)}`}`,
        x: { title: 'Squared L2 distance', ticks: 'decimal' },
        y: { title: 'Share in a bin', ticks: 'percent' },
        histograms,
        rules: threshold === null ? [] : [{ x: threshold, label: `threshold ${decimalText(threshold, 3)}` }],
      });
      return figure(
        plot,
        markup`<strong>${name}.</strong> Whatever lies left of the threshold matches. The less the two overlap, the
          better.${threshold === null ? ' The threshold is not measurable.' : ''}`,
      );
    }),
  );
}

// ── Thresholds ───────────────────────────────────────────────────────────────────────────────────────────────────────

function thresholdTable({ cells, far }: FitReport): Markup {
  return table({
    caption: `From which squared L2 distance on a comparison matches at FAR ${rateText(far)}, by where the probe and the template come from.`,
    columns: [
      { head: 'Probe', kind: 'text' },
      { head: 'Template', kind: 'text' },
      { head: 'Threshold', kind: 'number' },
      { head: 'Impostor comparisons', kind: 'number' },
      { head: 'Support', kind: 'text' },
    ],
    rows: cells.map(({ probe, template, threshold, comparisons, support }) => [
      probe.replace('-', ' '),
      template,
      decimalText(threshold, 4),
      countText(comparisons),
      support === 'measured' ? badge('good', support) : badge('unsure', unknown),
    ]),
    empty: 'No threshold was measured.',
  });
}

async function calibrationFigure({ calibration }: FitReport): Promise<readonly Markup[]> {
  if (calibration.length === 0) return [];
  const domain = [0, 4] as const;
  const plot = await linePlot({
    title:
      'Calibration: what a distance to a mapped template is worth among native ones; every point is in the table beside it',
    x: { title: 'Distance to a mapped template', scale: 'linear', ticks: 'decimal', domain },
    y: { title: 'Worth among native ones', scale: 'linear', ticks: 'decimal', domain },
    series: [
      { name: 'Calibrated', ink: 'blue', dash: [], points: [[0, 0], ...calibration, [4, 4]] },
      {
        name: 'As it is',
        ink: 'grey',
        dash: [2, 3],
        points: [
          [0, 0],
          [4, 4],
        ],
      },
    ],
    marked: calibration.map((point) => ({ series: 'Calibrated', point })),
  });
  return [
    markup`<div class="figures">
      ${figure(plot, markup`<strong>Calibration.</strong> Mapped and native templates stand in one list of candidates; so many impostors are nearer than either distance.`)}${table(
        {
          caption: 'Knots of the calibration, squared L2; straight lines between.',
          columns: [
            { head: 'Mapped', kind: 'number' },
            { head: 'Native', kind: 'number' },
          ],
          rows: calibration.map(([mapped, native]) => [decimalText(mapped, 4), decimalText(native, 4)]),
          empty: '',
          narrow: 'scrolled',
        },
      )}
    </div>`,
  ];
}

// ── People and provenance ────────────────────────────────────────────────────────────────────────────────────────────

/** People who are named on the page; the report has all. */
const lostRowsMax = 200;

function lostSection({ lost }: FitReport): Markup {
  const worst = lost.toSorted((one, other) => other.lost - one.lost);
  const more = lost.length - lostRowsMax;
  return section(
    'lost',
    'Who would be lost',
    table({
      caption: `${numbered(lost.length, 'person', 'people')} found by staying and not when mapped, the most often first. Their photos are the ones to look for.${more > 0 ? ` ${countText(more)} more are in the report.` : ''}`,
      columns: [
        { head: 'Person', kind: 'text' },
        { head: 'Searches', kind: 'number' },
        { head: 'Lost', kind: 'number' },
        { head: 'Share', kind: 'number' },
      ],
      rows: worst
        .slice(0, lostRowsMax)
        .map(({ person, searches, lost }) => [
          givenName(person),
          countText(searches),
          countText(lost),
          percentText(lost / searches),
        ]),
      empty: 'Nobody among the people tested.',
      narrow: 'scrolled',
    }),
  );
}

function estimatorTable({ scores, chosen, far }: FitReport): Markup {
  return table({
    caption: `From the simplest to the richest, by VAL at FAR ${rateText(far)} on people outside each fold. Chosen: the simplest within one standard error of the best.`,
    columns: [
      { head: 'Estimator', kind: 'text' },
      { head: 'VAL', kind: 'number' },
      { head: 'Behind the best', kind: 'number' },
      { head: 'Standard error', kind: 'number' },
      { head: 'FNIR', kind: 'number' },
      { head: 'Chosen', kind: 'text' },
    ],
    rows: scores.map(({ name, val, behindBest, standardError, fnir }) => [
      name,
      percentText(val),
      percentText(behindBest),
      percentText(standardError),
      percentText(fnir),
      name === chosen ? badge('good', 'chosen') : '',
    ]),
    empty: 'No estimator was compared.',
  });
}

function adapterTable({ forward, backward }: FitReport): Markup {
  const both = (name: string, value: (manifest: AdapterManifest) => Markup | string): (Markup | string)[] => [
    name,
    value(forward),
    value(backward),
  ];
  return table({
    caption:
      'An adapter holds nobody’s vector, but it was learned from people and can tell of them: guard its file like a key.',
    columns: [
      { head: 'Adapter', kind: 'text' },
      { head: 'Forward: templates into the new space', kind: 'text' },
      { head: 'Backward: new probes into the old space', kind: 'text' },
    ],
    rows: [
      both('SHA-256', ({ sha256 }) => code(sha256)),
      both('Size', ({ bytes }) => `${countText(bytes)} bytes`),
      both(
        'From',
        ({ fromSpace, fromDimensions }) => markup`${code(fromSpace)}, ${countText(fromDimensions)} dimensions`,
      ),
      both('To', ({ toSpace, toDimensions }) => markup`${code(toSpace)}, ${countText(toDimensions)} dimensions`),
      both('Estimator', ({ estimator }) => givenName(estimator)),
      both('Fitted on', ({ pairs, people }) => `${countText(pairs)} pairs of ${countText(people)} people`),
      both('Digest of the pairs', ({ pairsDigest }) => code(pairsDigest)),
      both('Folds and seed', ({ folds, seed }) => `${countText(folds)} folds, seed ${String(seed)}`),
      both('Fitted at', ({ fittedAt }) => timeText(fittedAt)),
    ],
    empty: '',
  });
}

function journalTable({ journal }: Rollout): Markup {
  return table({
    caption: 'What was done, in order. Entries are added and never changed.',
    columns: [
      { head: 'Entry', kind: 'number' },
      { head: 'When', kind: 'text' },
      { head: 'State', kind: 'text' },
      { head: 'What was done', kind: 'prose' },
    ],
    rows: journal.map(({ number, at, state, event }) => [String(number), timeText(at), state, event]),
    empty: 'The journal is empty.',
  });
}

const wordsSection = section(
  'words',
  'Words',
  facts([
    ['FAR', 'Share of comparisons of different people that match: impostors let in.'],
    ['VAL', 'Share of comparisons of the same person that match.'],
    ['FPIR', 'Share of searches for strangers that name somebody.'],
    ['FNIR', 'Share of searches for enrolled people that do not name them first.'],
    ['Threshold', 'Squared L2 distance, 0 to 4: at it or nearer, two faces match.'],
    ['95 %', 'Interval that holds the true figure with 95 % confidence, by drawing the people anew.'],
  ]),
);

// ── Wording ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Empty for none. */
function numbered(count: number, one: string, several: string): string {
  return count === 0 ? '' : `${countText(count)} ${count === 1 ? one : several}`;
}

/** Begins with a capital and ends with a full stop. */
function sentence(text: string): string {
  const [first = ''] = text;
  return `${first.toUpperCase()}${text.slice(first.length)}${/[.!?]$/.test(text) ? '' : '.'}`;
}
