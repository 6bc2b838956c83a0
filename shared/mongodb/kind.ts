// MongoDB as a kind of component: names, words, keys of dr.yml and inputs. Light; the work itself is loaded when a step needs it.
import { defineKind } from '../backup/kind.ts';
import type { ArchiveReport } from './archive-inspector.ts';
import { init } from './init.ts';
import { compareInputs, kubernetesInputs, mongodbInputs, namingInputs, renameProblems, sourceProblems } from './inputs.ts';
import type { MongodbWork } from './work.ts';

export const mongodb = defineKind({
  kind: 'mongodb',
  noun: 'MongoDB',
  thing: 'database',
  about: 'A MongoDB server, replica set or sharded cluster.',
  unit: 'documents',
  groups: 'collections',
  shape: async () => (await import('./schema.ts')).shape,
  inputs: { ...mongodbInputs, ...kubernetesInputs },
  address: ['kubernetesContext', 'kubernetesNamespace', 'kubernetesSelector', 'kubernetesPod', 'kubernetesContainer'],
  targetInputs: namingInputs,
  compareInputs,
  check: sourceProblems,
  checkTarget: ({ targetDatabase, rename, rollback }, spell) => {
    const problems: string[] = [];
    if (targetDatabase !== undefined && rename?.length) {
      problems.push(`${spell('targetDatabase')} and ${spell('rename')} exclude each other: use ${spell('rename')} for several names.`);
    }
    problems.push(...renameProblems(rename, spell));
    if (rollback && (rename?.length || targetDatabase !== undefined)) {
      problems.push(`${spell('rollback')} puts back a safety backup as it was: it takes no new names.`);
    }
    return problems;
  },
  steps: {
    backup: {
      name: 'mongodb-backup',
      title: 'Lifeboat: MongoDB backup',
      summary: 'Backs up a MongoDB, encrypted, and proves that the backup can be read back before it counts.',
      description:
        'Dumps the databases as one stream, checks every document on the way, compresses and encrypts it into the store, reads it back from there ' +
        'and compares counts and digests of every collection. Only then is the backup listed. An empty or suddenly smaller dump gives the outcome ' +
        'partial. Nothing is written to the local disk.',
      examples: [
        { what: 'Everything from dr.yml', args: '--component mongodb' },
        {
          what: 'Without dr.yml (the connection string comes from the environment: LIFEBOAT_MONGODB_URI)',
          args: '--store https://stdrprod.blob.core.windows.net/backups --vault https://kv-dr-prod.vault.azure.net',
        },
        { what: 'Into a folder, one database only', args: '--store /mnt/backups --vault /mnt/keys --include rocketchat' },
      ],
    },
    restore: {
      name: 'mongodb-restore',
      title: 'Lifeboat: MongoDB restore',
      summary: 'Restores a MongoDB backup and proves that the result equals what was backed up.',
      description:
        'Takes the latest verified backup, or the one named by timestamp, proves it to the last byte before the target is touched, restores it, ' +
        'then reads the target back and compares counts, digests and indexes of every collection. Shows the plan first and asks for the name to be typed. ' +
        'A target that is not empty is refused unless replace is true; what is replaced is backed up first, and rollback puts it back.',
      examples: [
        { what: 'See what would happen', args: '--component mongodb --dry-run' },
        { what: 'The latest verified backup', args: '--component mongodb --confirm rocketchat-production' },
        {
          what: 'Beside the live data',
          args: '--timestamp 20241201_120000 --rename rocketchat=rocketchat_check --confirm rocketchat-production',
        },
        { what: 'Put back what the last restore replaced', args: '--rollback --replace --confirm rocketchat-production' },
      ],
    },
    replace: 'Allow collections that hold documents to be replaced.',
    shrink: 'a collection, or the whole, has lost more than this percentage of its documents',
  },
  words: { thing: ['mongo', 'mongodb', 'database', 'db'], backup: ['mongodump'], restore: ['mongorestore'] },
  old: {
    reads:
      'Reads archives of mongodump (--archive, with or without --gzip) and tar files of its folders, plain or inside openssl enc -aes-256-cbc ' +
      '(-pbkdf2, or the older -md md5 and sha256).',
    example: 'mongodb_20241201_120000.tar.gz.enc',
    examples: [
      { what: 'One file; the passphrase comes from LIFEBOAT_PASSPHRASE', args: '--file mongodb_20241201_120000.tar.gz.enc' },
      {
        what: 'The passphrase is in the vault, and the file name has no timestamp',
        args: '--file old.archive.gz.enc --timestamp 20241201_120000 --passphrase-secret mongodb-backup-key',
      },
    ],
  },
  init,
  load: async (): Promise<MongodbWork> => (await import('./work.ts')).work,
});

export type MongodbReport = ArchiveReport;
