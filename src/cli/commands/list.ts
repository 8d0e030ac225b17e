/** `harmonid list`: who is enrolled? */
import { Command } from 'commander';
import type { Database, Identity } from '../../api.js';
import { withDatabase } from '../connection.js';
import { exitCodes } from '../failure.js';
import {
  describe,
  galleryOption,
  groupOption,
  targetOptions,
  wholeNumber,
  type GalleryOption,
  type TargetOptions,
} from '../options.js';
import type { Run } from '../run.js';
import { note, painter, printJson, printLine, type Terminal } from '../terminal.js';
import { counted, listText, nothing, table, timeText } from '../wording.js';

interface ListOptions extends TargetOptions, GalleryOption {
  readonly group?: readonly string[];
  readonly all?: boolean;
  readonly pageSize?: number;
  readonly pageToken?: string;
}

interface Listing {
  readonly identities: readonly Identity[];
  readonly nextPageToken?: string | undefined;
}

export function listCommand(run: Run): Command {
  const command = new Command('list')
    .summary('list the people of a gallery')
    .description('Lists people in the order of their ids, a page at a time.');
  targetOptions(command);
  galleryOption(command);
  groupOption(command, 'only people of this group');
  command
    .option('--all', 'all pages')
    .option('--page-size <n>', 'people on a page (default: 100)', wholeNumber)
    .option('--page-token <token>', 'the page after, as the page before said');
  describe(
    command,
    ['harmonid list', 'harmonid list --group staff --page-size 20', 'harmonid list --all --json'],
    'With --json: {"identities":[{"identity","label","groups","attributes","templates","version",…}],"nextPageToken"}.',
  );
  return command.action((options: ListOptions) =>
    run(command, async (terminal) => {
      const listing = await withDatabase(options, { images: false, create: false }, (database) =>
        readPages(terminal, database, options),
      );
      if (options.json) printJson(terminal, listing);
      else {
        const paint = painter(terminal, 'stdout');
        const rows = listing.identities.map(({ identity, label, groups, templates, updatedAt }) => [
          identity,
          label === '' ? nothing : label,
          listText(groups),
          `${templates.length}`,
          timeText(updatedAt),
        ]);
        if (rows.length > 0)
          printLine(terminal, table(paint, ['identity', 'label', 'groups', 'templates', 'updated'], rows));
        note(terminal, counted(rows.length, 'person', 'people'));
        if (listing.nextPageToken) note(terminal, `there are more: --all, or --page-token ${listing.nextPageToken}`);
      }
      return exitCodes.done;
    }),
  );
}

async function readPages(terminal: Terminal, database: Database, options: ListOptions): Promise<Listing> {
  const identities: Identity[] = [];
  let pageToken = options.pageToken;
  do {
    const page = await database.listIdentities({
      gallery: options.gallery,
      groups: options.group,
      pageSize: options.pageSize ?? (options.all ? 1000 : undefined),
      pageToken,
      signal: terminal.interrupt,
    });
    identities.push(...page.identities);
    pageToken = page.nextPageToken;
  } while (options.all && pageToken !== undefined);
  return { identities, ...(pageToken !== undefined && { nextPageToken: pageToken }) };
}
