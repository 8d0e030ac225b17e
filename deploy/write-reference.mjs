/**
 * Writes docs/CONFIGURATION.md from the schema of the built package; with --check it writes nothing, and exits 1 when the page is not what it
 * would write.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { isSection, keysOf } from '../dist/src/config/outline.js';
import { outline } from '../dist/src/config/schema.js';

const page = new URL('../docs/CONFIGURATION.md', import.meta.url);

const introduction = `# Configuration

Every key of \`harmonid serve\`. Made from the schema by \`npm run reference\`; [deploy/harmonid.yaml](../deploy/harmonid.yaml) is a file with all of them.

\`\`\`
harmonid serve --config harmonid.yaml
harmonid config check --config harmonid.yaml      # everything that is wrong, with file, line and column
harmonid config print --config harmonid.yaml      # the value of every key, and who says so
harmonid config schema > harmonid.schema.json     # for editors
\`\`\`

- **What wins**, key by key: options of the command line, then variables, then the file, then the defaults.
- **The file** is YAML, named by \`--config\` or by \`HARMONID_CONFIG\`. Without one there is none: no place is searched. Relative paths in it are
  relative to the file; in variables and options they are relative to the working directory. A section may be left out or empty. There are no aliases.
- **Variables** are named after their key: \`HARMONID_\`, then the path in upper snake case. Texts are taken as they stand, everything else as it is
  written in a file. An empty variable is one that is not set. One that begins with \`HARMONID_\` and is none of these is refused, except for those that
  Kubernetes makes of a service of that name.
- **What is wrong** is told all at once (\`CONFIG_INVALID\`), also of a value that another overrides, and nothing starts.
- **Secrets** are not printed, in no answer and in no error: \`config print\` says whether they are set.
- Other commands than \`serve\` and \`config\` read of all this only \`HARMONID_KEY_FILE\` and \`HARMONID_KEY\`.
`;

function sectionText(section) {
  const keys = [...section.members.values()].filter((member) => !isSection(member));
  const sections = [...section.members.values()].filter(isSection);
  const heading = section.name === '' ? '## The server' : `## ${section.name}\n\n${section.says}`;
  const rows = keys.map(
    ({ name, variable, flag, says, wanted, ...key }) =>
      `| \`${name}\` | ${says} | ${wanted} | ${defaultText(key)} | \`${variable}\`${flag ? `<br>\`${flag}\`` : ''} |`,
  );
  const table = ['| key | what it does | value | default | variable, option |', '|---|---|---|---|---|', ...rows];
  return [`${heading}\n\n${table.join('\n')}\n`, ...sections.map(sectionText)].join('\n');
}

function defaultText({ default: value, unset }) {
  return value === undefined ? `${unset}` : `\`${value}\``;
}

const text = `${introduction}\n${sectionText(outline)}`;
if (!process.argv.includes('--check')) writeFileSync(page, text);
else if (text !== readFileSync(page, 'utf8')) {
  process.stderr.write(
    `docs/CONFIGURATION.md is not what the ${keysOf(outline).length} keys say: run npm run reference\n`,
  );
  process.exitCode = 1;
}
