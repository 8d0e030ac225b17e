/** Method: texts written by hand after the format's specification; quantiles against numbers worked out on paper. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { Look, parseSamples, Span } from '../../src/cli/metric-samples.js';

describe('metric samples', () => {
  it('are read as the format has them, comments and unknown lines passed over', () => {
    const text =
      '# HELP a what\n# TYPE a counter\na 1\na{b="c",d="e\\"f\\n\\\\"} 2.5 1700000000\nx_bucket{le="+Inf"} 7\nc +Inf\n\nno sample\n';
    assert.deepEqual(parseSamples(text), [
      { name: 'a', labels: {}, value: 1 },
      { name: 'a', labels: { b: 'c', d: 'e"f\n\\' }, value: 2.5 },
      { name: 'x_bucket', labels: { le: '+Inf' }, value: 7 },
      { name: 'c', labels: {}, value: Infinity },
    ]);
  });

  it('tell rates between two looks, also when the server was started anew', () => {
    const span = (before: number, after: number) =>
      new Span(new Look(`n ${before}`, 1000), new Look(`n ${after}`, 3000));
    assert.equal(span(10, 30).perSecond('n'), 10);
    assert.equal(span(30, 4).perSecond('n'), 2);
    assert.equal(span(1, 2).perSecond('other'), 0);
  });

  it('tell quantiles of what came between two looks', () => {
    const buckets = (counts: readonly number[]): string =>
      ['0.1', '0.2', '0.4', '+Inf'].map((bound, i) => `h_bucket{le="${bound}",m="x"} ${counts[i]}`).join('\n');
    const span = new Span(new Look(buckets([5, 5, 5, 5]), 0), new Look(buckets([5, 15, 25, 30]), 1000));
    // Ten between 0.1 and 0.2, ten between 0.2 and 0.4, five beyond.
    assert.equal(span.quantile('h', { m: 'x' }, 0.2)?.toFixed(6), '0.150000');
    assert.equal(span.quantile('h', { m: 'x' }, 0.6)?.toFixed(6), '0.300000');
    assert.equal(span.quantile('h', { m: 'x' }, 0.99), 0.4);
    assert.equal(span.quantile('h', { m: 'y' }, 0.5), null);
  });
});
