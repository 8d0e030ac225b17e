/** The error table against what the rest of the project says of it. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { abortError, asHarmonidError, errorCodes, HarmonidError, isHarmonidError } from '../src/errors.js';
import { version } from '../src/version.js';
import { repositoryPath } from './support/paths.js';

describe('errors', () => {
  it('every code is used somewhere: the table holds no dead entry', () => {
    const folder = join(repositoryPath, 'src');
    const sources = readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && file !== join('server', 'status.ts'))
      .map((file) => readFileSync(join(folder, file), 'utf8').replace(/errorCodes = \{[^}]*\}/, ''))
      .join('\n');
    assert.deepEqual(
      Object.keys(errorCodes).filter((code) => !sources.includes(`'${code}'`)),
      [],
    );
  });

  it('tells ours from others, also across a structured clone', () => {
    const ours = new HarmonidError('NO_FACE', 'no face', { details: { width: 3 } });
    assert.ok(isHarmonidError(ours));
    assert.ok(!isHarmonidError(new Error('no face')));
    assert.ok(!isHarmonidError(Object.assign(new Error('x'), { name: 'HarmonidError', code: 'NOT_A_CODE' })));
    assert.equal(asHarmonidError(ours), ours);
    const other = asHarmonidError(new TypeError('secret detail'));
    assert.equal(other.code, 'INTERNAL');
    assert.ok(!other.message.includes('secret'));
    assert.ok(other.cause instanceof TypeError);
  });

  it('an aborted signal says whether it was a deadline', () => {
    assert.equal(abortError(AbortSignal.abort()).code, 'CANCELLED');
    assert.equal(abortError(AbortSignal.abort(new DOMException('late', 'TimeoutError'))).code, 'DEADLINE_EXCEEDED');
    const own = new HarmonidError('OVERLOADED', 'busy');
    assert.equal(abortError(AbortSignal.abort(own)), own);
  });

  it('the version is the package’s', () => {
    const manifest = JSON.parse(readFileSync(join(repositoryPath, 'package.json'), 'utf8')) as { version: string };
    assert.equal(version, manifest.version);
  });
});
