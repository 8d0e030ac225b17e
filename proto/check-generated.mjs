/** Compares freshly generated code with what is committed; exits 1 and names the files that differ. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

const [fresh, committed] = process.argv.slice(2);
const files = readdirSync(fresh, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name).slice(fresh.length + 1));
const stale = files.filter(
  (file) =>
    !existsSync(join(committed, file)) ||
    readFileSync(join(fresh, file), 'utf8') !== readFileSync(join(committed, file), 'utf8'),
);
if (files.length === 0 || stale.length > 0) {
  process.stderr.write(
    `${files.length === 0 ? 'nothing was generated' : `out of date, run npm run generate: ${stale.join(', ')}`}\n`,
  );
  process.exitCode = 1;
}
