/**
 * A process of its own that opens an index with hnswlib and closes it again, for graph files that may end the process. Not a test: the folder and
 * `exactMax` are its arguments. Says where the graph came from when it has lived through the opening.
 */
import process, { argv } from 'node:process';
import { openIdentityIndex } from '../../src/index/identity-index.js';

const [, , path = '', exactMax] = argv;
const index = await openIdentityIndex({
  path,
  engine: 'hnswlib',
  exactMax: Number(exactMax),
  onWarning: () => undefined,
});
const [stats] = await index.stats();
process.send?.(stats?.graph.openedFrom);
await index.close();
