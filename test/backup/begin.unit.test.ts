// The first backup in a folder, and a folder whose disk is not mounted.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { writeBackup, type BackupResult } from '../../shared/backup/write.ts';
import { gatherFacts } from '../../shared/catalog/apply-retention.ts';
import { copyBackups } from '../../shared/catalog/copy.ts';
import { listBackups } from '../../shared/catalog/list.ts';
import { planSection, removals } from '../../shared/catalog/retention-plan.ts';
import { StoreError } from '../../shared/stores/errors.ts';
import { FolderStore } from '../../shared/stores/folder/index.ts';
import { VaultError } from '../../shared/vaults/errors.ts';
import { FolderVault } from '../../shared/vaults/folder/index.ts';
import { SecretRecipient } from '../../shared/vaults/recipients/secret.ts';
import type { KeyRecipient } from '../../shared/vaults/vault.ts';
import { countingInspector, inPieces, timestamp } from './support.ts';

let root: string;
let disk: string;
let keys: KeyRecipient;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'lifeboat-begin-'));
  disk = join(root, 'disk');
  keys = new SecretRecipient(new FolderVault(join(root, 'vault')));
});

afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

interface Attempt {
  at?: string;
  folder?: string;
  component?: string;
  prefix?: string;
  recipients?: KeyRecipient[];
  source?: AsyncIterable<Uint8Array>;
  onNotice?: (notice: string) => void;
}

function backUp({ at = '20241201_120000', folder = disk, component = 'mongodb', ...given }: Attempt = {}): Promise<BackupResult> {
  return writeBackup({
    ...{ store: new FolderStore(folder), prefix: 'prod', component, timestamp: timestamp(at), kind: 'mongodb', owner: 'a test' },
    ...{ recipients: [keys], source: inPieces(Buffer.from('content')), newInspector: () => countingInspector() },
    ...{ facts: { source: {}, consistency: 'point-in-time' }, tools: {} },
    ...given,
  });
}

/** Takes the disk away: an empty folder is left where it was. */
function unmount(): void {
  renameSync(disk, join(root, 'elsewhere'));
  mkdirSync(disk);
}

function mount(): void {
  rmSync(disk, { recursive: true });
  renameSync(join(root, 'elsewhere'), disk);
}

test('a folder that had backups and is empty is not written to, however often it is tried; mounted again, it goes on', async () => {
  await backUp();
  await backUp({ at: '20241202_120000' });
  unmount();
  for (const at of ['20241203_120000', '20241203_120001']) {
    const failure = (await backUp({ at }).catch((thrown: unknown) => thrown)) as StoreError;
    expect(failure).toBeInstanceOf(StoreError);
    expect(failure.message).toBe(
      `${disk} has no backup of mongodb, but ${keys.location} keeps the keys of 2 backups that went there, the latest at 20241202_120000.`,
    );
    expect(failure.fix).toMatch(/^Mount its disk.*create the file prod\/mongodb\/begun\.json there\.$/);
  }
  expect(existsSync(join(disk, 'prod'))).toBe(false);
  expect(readdirSync(join(root, 'vault'))).toHaveLength(2);
  mount();
  await backUp({ at: '20241203_120002' });
  expect(await listBackups(new FolderStore(disk), 'prod')).toHaveLength(3);
});

test('a first backup needs nothing: a new folder, another folder, another component', async () => {
  await backUp();
  await backUp({ folder: join(root, 'second') });
  await backUp({ component: 'secrets' });
  expect(existsSync(join(disk, 'prod/secrets/begun.json'))).toBe(true);
});

test('what is lost is begun anew when a person says so', async () => {
  await backUp();
  unmount();
  mkdirSync(join(disk, 'prod/mongodb'), { recursive: true });
  writeFileSync(join(disk, 'prod/mongodb/begun.json'), '');
  await backUp({ at: '20241202_120000' });
});

test('a first backup that failed and could not put its key away is no store that was lost', async () => {
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('some');
    throw new Error('mongodump ended');
  }
  const clinging = Object.assign(Object.create(keys) as KeyRecipient, {
    matches: () => true,
    forget: async () => {
      throw new VaultError('The vault is away.');
    },
    wrap: keys.wrap.bind(keys),
  });
  await expect(backUp({ source: broken(), recipients: [clinging] })).rejects.toThrow('mongodump ended');
  expect(readdirSync(join(root, 'vault'))).toHaveLength(1);
  await backUp({ at: '20241202_120000' });
});

test('copies do not go to a folder that has lost those it had', async () => {
  await backUp();
  const from = { store: new FolderStore(disk), prefix: 'prod' };
  const to = { store: new FolderStore(join(root, 'copies')), prefix: 'prod' };
  const copy = () =>
    copyBackups({
      ...{ from, to, component: 'mongodb', recipients: [keys], owner: 'a test' },
      ...{ now: new Date(), signal: new AbortController().signal },
    });
  await copy();
  await copy();
  renameSync(join(root, 'copies'), join(root, 'copies-elsewhere'));
  const failure = (await copy().catch((thrown: unknown) => thrown)) as StoreError;
  expect(failure).toBeInstanceOf(StoreError);
  expect(failure.message).toBe(`${to.store.location} should have copies of mongodb from ${disk}, and knows nothing of them.`);
  expect(existsSync(join(root, 'copies/prod'))).toBe(false);
  const [record] = readdirSync(join(disk, 'prod/mongodb/copies')) as [string];
  expect(failure.fix).toContain(`remove prod/mongodb/copies/${record} from ${disk}`);
  rmSync(join(disk, 'prod/mongodb/copies', record));
  expect((await copy()).copied).toHaveLength(1);
});

test('a vault that may not be listed is no reason to fail', async () => {
  const silent = Object.assign(Object.create(keys) as KeyRecipient, {
    wrap: keys.wrap.bind(keys),
    backupsIn: async () => {
      throw new VaultError('The identity may not do that.');
    },
  });
  const notices: string[] = [];
  await backUp({ recipients: [silent], onNotice: (notice) => notices.push(notice) });
  expect(notices).toEqual([`Whether ${disk} has had backups of mongodb is not known: The identity may not do that.`]);
});

test('a second name in one store with one vault is no disk that is not mounted', async () => {
  await backUp();
  await expect(backUp({ prefix: 'other' })).resolves.toMatchObject({ component: 'mongodb' });
});

test('a second installation with another vault is refused, and the first one goes on, also from a vault that was moved', async () => {
  await backUp();
  const stranger = new SecretRecipient(new FolderVault(join(root, 'other-vault')));
  await expect(backUp({ at: '20241202_120000', recipients: [stranger] })).rejects.toMatchObject({
    kind: 'refused',
    message: expect.stringMatching(
      /^The backups of mongodb below prod in .* belong to another installation: their keys are not in .*other-vault\.$/,
    ),
    fix: expect.stringContaining('another name, another component or another store'),
  });
  expect(await listBackups(new FolderStore(disk), 'prod')).toHaveLength(1);
  renameSync(join(root, 'vault'), join(root, 'moved'));
  const moved = new SecretRecipient(new FolderVault(join(root, 'moved')));
  await backUp({ at: '20241203_120000', recipients: [moved] });
  await backUp({ at: '20241204_120000', recipients: [moved] });
});

test("another installation's backups do not go by retention", async () => {
  await backUp({ at: '20241201_120000' });
  await backUp({ at: '20241202_120000' });
  const place = { store: new FolderStore(disk), prefix: 'prod' };
  const stranger = new SecretRecipient(new FolderVault(join(root, 'other-vault')));
  const sectionFor = async (recipients: KeyRecipient[]) =>
    planSection(
      await gatherFacts({ component: 'mongodb', place, others: [], recipients }),
      { rules: { last: 1 }, policy: 'last 1' },
      new Date(),
    );
  expect(removals(await sectionFor([keys]))).toHaveLength(1);
  expect(removals(await sectionFor([stranger]))).toEqual([]);
  expect((await sectionFor([stranger])).blocked).toMatch(/belong to another installation/);
});
