/**
 * Expressions of Prometheus, read as far as it takes to know what they ask for: names of metrics, labels that are matched, labels that are grouped by.
 *
 * Promises: brackets and quotes that do not close, functions that Prometheus does not have and characters that it does not know are refused. It is no
 * PromQL: what the operators do is not looked at. The variables of Grafana (`$instance`, `$__rate_interval`) pass as texts and as durations.
 */
import assert from 'node:assert/strict';

export interface Matcher {
  readonly label: string;
  readonly operator: '=' | '!=' | '=~' | '!~';
  readonly value: string;
}

export interface Selector {
  readonly metric: string;
  readonly matchers: readonly Matcher[];
}

export interface Expression {
  readonly selectors: readonly Selector[];
  /** After `by`, `without`, `on` and the like. */
  readonly groupings: readonly string[];
}

/** Those that our files use; from Prometheus' manual. */
const functions = new Set('sum min max count absent changes increase rate delta time histogram_quantile'.split(' '));
const operators = new Set(['and', 'or', 'unless']);
const groupers = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right']);
const closing: Readonly<Record<string, string>> = { '(': ')', '{': '}', '[': ']' };

const tokenPattern =
  /\s+|(?<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?<number>\d+(?:\.\d+)?(?:e\d+)?(?:ms|[smhdwy])?)|(?<name>\$?[a-zA-Z_:][\w:]*)|(?<sign>=~|!~|==|!=|<=|>=|[-+*/%^<>=(){}[\],])/y;

interface Token {
  readonly kind: 'text' | 'number' | 'name' | 'sign';
  readonly text: string;
}

function tokensOf(expression: string): readonly Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < expression.length;) {
    tokenPattern.lastIndex = at;
    const match = tokenPattern.exec(expression);
    assert.ok(match, `what is this, at ${at} of ${expression}: ${expression.slice(at, at + 20)}`);
    at = tokenPattern.lastIndex;
    for (const kind of ['text', 'number', 'name', 'sign'] as const) {
      const text = match.groups?.[kind];
      if (text !== undefined) tokens.push({ kind, text });
    }
  }
  return tokens;
}

function checkBrackets(tokens: readonly Token[], expression: string): void {
  const open: string[] = [];
  for (const { kind, text } of tokens) {
    if (kind !== 'sign') continue;
    const close = closing[text];
    if (close !== undefined) open.push(close);
    else if (Object.values(closing).includes(text)) assert.equal(open.pop(), text, `brackets of ${expression}`);
  }
  assert.deepEqual(open, [], `brackets of ${expression}`);
}

/** @throws AssertionError saying what is wrong */
export function readExpression(expression: string): Expression {
  const tokens = tokensOf(expression);
  checkBrackets(tokens, expression);
  const selectors: Selector[] = [];
  const groupings: string[] = [];
  for (let i = 0; i < tokens.length; i++) {
    const { kind, text } = tokens[i] as Token;
    const next = tokens[i + 1]?.text;
    if (kind === 'sign' && text === '[') {
      const end = endOf(tokens, i);
      assert.match(tokens[i + 1]?.text ?? '', /^(\d+[smhdw]|\$__rate_interval)$/, `a duration in ${expression}`);
      assert.equal(end, i + 2, `one duration in the brackets of ${expression}`);
      i = end;
    }
    if (kind !== 'name' || operators.has(text) || text === 'offset' || text === 'bool') continue;
    if (groupers.has(text)) {
      const end = endOf(tokens, i + 1);
      groupings.push(...wordsBetween(tokens, i + 1, end));
      i = end;
    } else if (next === '(' || groupers.has(next ?? '')) {
      assert.ok(functions.has(text), `there is no function ${text}: ${expression}`);
    } else {
      const end = next === '{' ? endOf(tokens, i + 1) : i;
      selectors.push({ metric: text, matchers: end > i ? matchersOf(tokens.slice(i + 2, end), expression) : [] });
      i = end;
    }
  }
  return { selectors, groupings };
}

/** Where the bracket closes that opens at `from`. */
function endOf(tokens: readonly Token[], from: number): number {
  const close = closing[tokens[from]?.text ?? ''];
  const end = tokens.findIndex(({ kind, text }, i) => i > from && kind === 'sign' && text === close);
  assert.ok(close !== undefined && end > from, 'a bracket is wanted');
  return end;
}

function wordsBetween(tokens: readonly Token[], from: number, to: number): readonly string[] {
  return tokens.slice(from + 1, to).flatMap(({ kind, text }) => (kind === 'name' ? [text] : []));
}

function matchersOf(tokens: readonly Token[], expression: string): readonly Matcher[] {
  const matchers: Matcher[] = [];
  for (let i = 0; i < tokens.length; i += 4) {
    const [label, operator, value, comma] = tokens.slice(i, i + 4);
    assert.equal(label?.kind, 'name', `a label is wanted in ${expression}`);
    assert.match(operator?.text ?? '', /^(=|!=|=~|!~)$/, `an operator after ${label.text} in ${expression}`);
    assert.equal(value?.kind, 'text', `a text after ${label.text} in ${expression}`);
    assert.ok(comma === undefined || comma.text === ',', `a comma in ${expression}`);
    matchers.push({
      label: label.text,
      operator: operator?.text as Matcher['operator'],
      value: value.text.slice(1, -1),
    });
  }
  return matchers;
}
