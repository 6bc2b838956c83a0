// How long retention thinks: a plan over 100,000 timestamps, and 10,000 backups in Azurite listed and planned.
import { ContainerClient } from '@azure/storage-blob';
import { gatherFacts } from '../../shared/catalog/apply-retention.ts';
import { planSection } from '../../shared/catalog/retention-plan.ts';
import { applyRules, type RetentionRules } from '../../shared/catalog/retention.ts';
import { backupNames } from '../../shared/backup/layout.ts';
import { parsePeriod } from '../../shared/step/period.ts';
import { formatTimestamp } from '../../shared/step/timestamp.ts';
import { openStore } from '../../shared/stores/open.ts';
import type { Store } from '../../shared/stores/store.ts';
import { startAzurite } from '../backends/azurite.ts';
import type { Bench, Group } from './bench.ts';
import { contest, median, type Sample } from './contest.ts';
import type { Measured } from './rows.ts';

const RULES: RetentionRules = { hourly: 24, daily: 7, weekly: 4, monthly: 6, yearly: 3, within: parsePeriod('14d') };
const TIMESTAMPS = 100_000;
const BACKUPS = 10_000;
const HOUR_MS = 3_600_000;
const WRITERS = 16;
const PREFIX = 'bench';
const COMPONENT = 'mongodb';

export const retentionRows: Group = async (bench) => ({
  ...(bench.wanted.has('retention-plan') ? { 'retention-plan': planTimestamps(bench.rounds) } : {}),
  ...(bench.wanted.has('retention-azurite') ? { 'retention-azurite': await planAzurite(bench) } : {}),
});

/** A plan over so many timestamps, an hour apart. */
function planTimestamps(rounds: number): Measured {
  const now = new Date();
  const items = Array.from({ length: TIMESTAMPS }, (_, index) => ({ time: new Date(now.getTime() - index * HOUR_MS) }));
  const times: number[] = [];
  let kept = 0;
  for (let round = 0; round < rounds; round += 1) {
    const started = performance.now();
    kept = applyRules(items, RULES, now).filter(({ keep }) => keep).length;
    times.push(performance.now() - started);
  }
  return { value: median(times), figures: `${TIMESTAMPS} timestamps, ${kept} stay, the first time ${times[0]?.toFixed(0)} ms` };
}

/** So many backups (a tiny data object and a manifest each) listed and planned, beside the SDK listing the same blobs and doing nothing with them. */
async function planAzurite({ rounds, say }: Bench): Promise<Measured> {
  const azurite = await startAzurite({ inMemory: true });
  try {
    const address = await azurite.createContainer('retention');
    const store = await openStore(address, { credential: () => azurite.credential });
    const now = new Date();
    await fill(store, now);
    say(`${BACKUPS} backups are in Azurite`);
    const sdk = new ContainerClient(address, azurite.credential);
    const results = await contest(
      [
        { name: 'listed and planned', run: async () => timed(() => plan(store, now)), noWarmUp: true },
        { name: 'the SDK alone', run: async () => timed(() => listAll(sdk)), noWarmUp: true },
      ],
      rounds,
      say,
    );
    const of = (name: string): number => median((results.get(name) ?? []).map(({ seconds }) => seconds * 1000));
    const [ours, theirs] = [of('listed and planned'), of('the SDK alone')];
    return {
      value: ours,
      figures: `${BACKUPS} backups; the SDK alone needs ${theirs.toFixed(0)} ms for listing their ${2 * BACKUPS} blobs (${(ours / theirs).toFixed(2)} of it)`,
    };
  } finally {
    await azurite.stop();
  }
}

async function fill(store: Store, now: Date): Promise<void> {
  const bytes = Buffer.from('tiny');
  let next = 0;
  const write = async (): Promise<void> => {
    for (let index = next++; index < BACKUPS; index = next++) {
      const timestamp = formatTimestamp(new Date(now.getTime() - index * HOUR_MS));
      const names = backupNames(PREFIX, COMPONENT, timestamp);
      await store.write(names.data, bytes, { metadata: { timestamp, storedbytes: String(bytes.length), origin: 'backup' } });
      const metadata = { timestamp, kind: 'mongodb', verified: 'full', suspect: '0', storedbytes: String(bytes.length) };
      await store.write(names.manifest, bytes, { metadata });
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, write));
}

async function plan(store: Store, now: Date): Promise<void> {
  const facts = await gatherFacts({ component: COMPONENT, place: { store, prefix: PREFIX }, others: [] });
  const { backups, blocked } = planSection(facts, { rules: RULES, policy: 'bench' }, now);
  if (backups.length !== BACKUPS || blocked !== undefined) throw new Error(`${backups.length} backups were listed; ${blocked ?? ''}`);
}

async function listAll(client: ContainerClient): Promise<void> {
  const query = { prefix: `${PREFIX}/${COMPONENT}/`, includeMetadata: true };
  let found = 0;
  for await (const page of client.listBlobsFlat(query).byPage({ maxPageSize: 5000 })) found += page.segment.blobItems.length;
  if (found !== 2 * BACKUPS) throw new Error(`the SDK listed ${found} blobs`);
}

async function timed(work: () => Promise<void>): Promise<Sample> {
  const [started, before] = [performance.now(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(before);
  return { seconds: (performance.now() - started) / 1000, cpuSeconds: (user + system) / 1e6 };
}
