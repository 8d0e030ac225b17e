/**
 * A process that moves a gallery from one space to the other and back, again and again, enrolling people on the way, and tells of every step that
 * was acknowledged. It is killed. Arguments: data directory, seed.
 */
import process from 'node:process';
import { inspect } from 'node:util';
import { openDatabase, type Database, type GateName, type Rollout } from '../../src/database.js';
import { makeRandom } from '../../src/random.js';
import { gallery, makeFaces, peopleOfPairs, spaces, type RolloutReport } from './rollout-messages.js';

const [path = '', seed = '1'] = process.argv.slice(2);
const random = makeRandom(Number(seed));
const faces = makeFaces();
const tell = (report: RolloutReport): void => void process.send?.(report, () => undefined);

async function last<T>(steps: AsyncGenerator<unknown, T, void>): Promise<T> {
  for (;;) {
    const next = await steps.next();
    if (next.done) return next.value;
  }
}

async function step(db: Database): Promise<Rollout> {
  const { rollouts } = db;
  const request = { gallery };
  const now = await rollouts.get(request).catch(() => null);
  const [from, to] = spaces;
  switch (now?.state ?? 'none') {
    case 'none':
    case 'rolled-back':
      return rollouts.start({ ...request, target: { ...to, threshold: 0.3 }, mapMapped: true });
    case 'draft': {
      const vectorIn = (person: number, wanted: string): Float32Array => faces(person, wanted);
      const pairs = Array.from({ length: peopleOfPairs * 2 }, (_, i) => ({
        person: `person ${i >> 1}`,
        vectors: { from: vectorIn(i >> 1, from.space), to: vectorIn(i >> 1, to.space) },
      }));
      for await (const { error } of rollouts.addPairs(request, pairs)) if (error) throw error;
      return last(rollouts.fit({ ...request, far: 0.02, estimators: ['procrustes'] }));
    }
    case 'fitted':
    case 'gated': {
      const overrule: GateName[] = (now?.fit?.gates ?? []).map(({ gate }) => gate);
      return last(rollouts.shadow({ ...request, overrule }));
    }
    case 'shadow':
      await last(rollouts.shadow(request));
      return random.uniform() < 0.3 ? rollouts.canary({ ...request, share: 0.5 }) : rollouts.activate(request);
    case 'canary':
      return random.uniform() < 0.3 ? rollouts.rollback(request) : rollouts.activate(request);
    case 'active':
      return random.uniform() < 0.7 ? rollouts.rollback(request) : rollouts.complete({ ...request, now: true });
    case 'completing':
      return rollouts.complete(request);
    case 'complete':
      // The end of this gallery; nothing is left but to be killed.
      return new Promise<never>(() => setInterval(() => undefined, 1_000));
  }
  throw new Error(`no step from ${now?.state}`);
}

/** Somebody comes in the space that serves. */
async function enroll(db: Database): Promise<void> {
  const { space, identityCount } = await db.getGallery({ gallery });
  const identity = `person ${identityCount}`;
  await db.enroll({ gallery, identity, embeddings: [{ space, vector: faces(identityCount, space) }] });
  tell({ enrolled: identityCount });
}

try {
  const db = await openDatabase({ path, embedder: false, exactMax: 60 });
  tell({ opened: true });
  for (;;) {
    const { state } = await step(db);
    tell({ done: state });
    if (random.uniform() < 0.5) await enroll(db);
  }
} catch (error) {
  tell({ trouble: inspect(error) });
}
