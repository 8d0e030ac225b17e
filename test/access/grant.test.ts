/** Method: patterns against regular expressions made of them, a simpler model; refusals name both sides. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { coversGallery, permissionNames, permits, requireAll, requireGallery, roles } from '../../src/access/grant.js';
import { makeRandom } from '../../src/random.js';

const grantOf = (...galleries: string[]) => ({ permissions: [], galleries });

describe('grants', () => {
  it('cover what their patterns match, as a regular expression has it', () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = makeRandom(seed);
    const draw = (letters: string, length: number): string =>
      Array.from({ length }, () => letters[Math.floor(random.uniform() * letters.length)]).join('');
    const seen = { true: 0, false: 0 };
    for (let i = 0; i < 20_000; i++) {
      const pattern = draw('ab*', Math.floor(random.uniform() * 7));
      const name = draw('ab', Math.floor(random.uniform() * 8));
      const expected = new RegExp(`^${pattern.replaceAll('*', '.*')}$`).test(name);
      assert.equal(coversGallery(grantOf(pattern), name), expected, `"${pattern}" and "${name}", seed ${seed}`);
      seen[`${expected}`]++;
    }
    assert.ok(seen.true > 1000 && seen.false > 1000, JSON.stringify(seen));
  });

  it('take no characters of a name for a pattern', () => {
    assert.equal(coversGallery(grantOf('site.1'), 'site-1'), false);
    assert.equal(coversGallery(grantOf('[ab]'), 'a'), false);
    assert.equal(coversGallery(grantOf('lobby'), 'LOBBY'), false);
  });

  it('cover nothing without a pattern, and permit nothing that is not listed', () => {
    assert.equal(coversGallery(grantOf(), 'lobby'), false);
    for (const permission of permissionNames) assert.equal(permits(grantOf('*'), permission), false);
  });

  it('of one gallery are none of all, whatever the pattern', () => {
    for (const grant of [grantOf('lobby'), grantOf('a*', '*b'), grantOf('**')]) {
      assert.throws(() => requireAll(grant, 'a backup'), { code: 'PERMISSION_DENIED' });
    }
    requireAll(grantOf('lobby', '*'), 'a backup');
  });

  it('refuse by naming the gallery and what is granted', () => {
    assert.throws(() => requireGallery(grantOf('lobby', 'site-*'), 'vault'), {
      code: 'PERMISSION_DENIED',
      message: 'gallery "vault" is not among those granted: lobby, site-*',
    });
  });

  it('of a door do not let people in or out of a gallery', () => {
    assert.deepEqual([...roles.door], ['identify', 'verify']);
    assert.deepEqual(
      permissionNames.filter((name) => !(roles.registrar as readonly string[]).includes(name)),
      ['identify', 'verify', 'export', 'migrate', 'admin'],
    );
  });
});
