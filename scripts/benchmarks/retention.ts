// How long retention thinks: a plan over 100,000 timestamps, and 10,000 backups in Azurite listed and planned.
import { gatherFacts } from '../../shared/catalog/apply-retention.ts';
import { planSection } from '../../shared/catalog/retention-plan.ts';
import { applyRules, type RetentionRules } from '../../shared/catalog/retention.ts';
import { backupNames } from '../../shared/backup/layout.ts';
import { parsePeriod } from '../../shared/step/period.ts';
import { formatTimestamp } from '../../shared/step/timestamp.ts';
import { openStore } from '../../shared/stores/open.ts';
import { startAzurite } from '../../test/backends/azurite.ts';

const RULES: RetentionRules = { hourly: 24, daily: 7, weekly: 4, monthly: 6, yearly: 3, within: parsePeriod('14d') };
const HOUR_MS = 3_600_000;
const WRITERS = 16;

export interface RetentionFigure {
  milliseconds: number;
  figures: string;
}

/** A plan over so many timestamps, an hour apart. Must stay below a second for 100,000. */
export function planTimestamps(count = 100_000): RetentionFigure {
  const now = new Date();
  const items = Array.from({ length: count }, (_, index) => ({ time: new Date(now.getTime() - index * HOUR_MS) }));
  const started = performance.now();
  const kept = applyRules(items, RULES, now).filter(({ keep }) => keep).length;
  const milliseconds = performance.now() - started;
  return { milliseconds, figures: `${count} timestamps, ${kept} stay, ${milliseconds.toFixed(0)} ms` };
}

/** So many backups (a tiny data object and a manifest each) in Azurite, listed and planned. Must stay below five seconds for 10,000. */
export async function planAzurite(count = 10_000, say: (line: string) => void = () => undefined): Promise<RetentionFigure> {
  const azurite = await startAzurite();
  try {
    const store = await openStore(await azurite.createContainer('retention'), { credential: () => azurite.credential });
    const now = new Date();
    const bytes = Buffer.from('tiny');
    let next = 0;
    const write = async (): Promise<void> => {
      for (let index = next++; index < count; index = next++) {
        const timestamp = formatTimestamp(new Date(now.getTime() - index * HOUR_MS));
        const names = backupNames('bench', 'mongodb', timestamp);
        await store.write(names.data, bytes, { metadata: { timestamp, storedbytes: String(bytes.length), origin: 'backup' } });
        const metadata = { timestamp, kind: 'mongodb', verified: 'full', suspect: '0', storedbytes: String(bytes.length) };
        await store.write(names.manifest, bytes, { metadata });
      }
    };
    await Promise.all(Array.from({ length: WRITERS }, write));
    say(`${count} backups are in Azurite`);
    const started = performance.now();
    const facts = await gatherFacts({ component: 'mongodb', place: { store, prefix: 'bench' }, others: [] });
    const listed = performance.now() - started;
    const section = planSection(facts, { rules: RULES, policy: 'bench' }, now);
    const milliseconds = performance.now() - started;
    const kept = section.backups.filter(({ keep }) => keep).length;
    if (section.backups.length !== count || section.blocked !== undefined) throw new Error(`${section.backups.length} backups were listed`);
    return {
      milliseconds,
      figures: `${count} backups listed in ${listed.toFixed(0)} ms, planned in ${(milliseconds - listed).toFixed(0)} ms, ${kept} stay`,
    };
  } finally {
    await azurite.stop();
  }
}

if (import.meta.main) {
  const say = (line: string): void => {
    process.stdout.write(`${line}\n`);
  };
  say(planTimestamps().figures);
  say((await planAzurite(10_000, say)).figures);
}
