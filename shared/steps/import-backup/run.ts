// What `import-backup` does: an old file → archive stream → the same way into the store as any backup, under its old timestamp.
import { existsSync } from 'node:fs';
import project from '../../../package.json' with { type: 'json' };
import type { JsonValue } from '../../backup/json.ts';
import { writeBackup, type BackupResult } from '../../backup/write.ts';
import { newArchiveInspector, type ArchiveReport } from '../../mongodb/archive-inspector.ts';
import { doubtsOf } from '../../mongodb/doubts.ts';
import { UNKNOWN_VERSION } from '../../mongodb/legacy/dump-folder.ts';
import { isFuture, openLegacyBackup, timestampInName, type LegacyBackup } from '../../mongodb/legacy/import.ts';
import { sessionOf } from '../../session/session.ts';
import type { StepReturn } from '../../step/define.ts';
import { UsageError } from '../../step/errors.ts';
import { formatBytes, formatSeconds, plural } from '../../step/format.ts';
import { Secret } from '../../step/input.ts';
import { prose } from '../../step/prose.ts';
import type { Timestamp } from '../../step/timestamp.ts';
import type { KeyRecipient } from '../../vaults/vault.ts';
import type { Context } from './inputs.ts';
import { newComponent } from '../../session/components.ts';
import { copyPlaces, withCopies } from '../../runs/copy.ts';
import { keysBesideDoubts } from '../../session/key-place.ts';
import { mongodb } from '../../mongodb/kind.ts';
import { collectionRows } from '../../mongodb/texts.ts';
import { restoreCommand, restoreStepOf } from '../../pages/restore-command.ts';
import { openKeys, openPlace, type Place } from '../../session/open.ts';
import { lockOwner, recorded } from '../../runs/record.ts';
import { commandBlock, details, facts, heading, page, table } from '../../pages/summary.ts';

type Inputs = Context['inputs'];

export async function runImportBackup(context: Context): Promise<StepReturn> {
  const inputs = context.inputs;
  const component = await newComponent(context, mongodb);
  const timestamp = momentOf(context, inputs);
  return recorded(
    context,
    () => openPlace(context, { makes: true }),
    { component, effects: 'writes' },
    async (place, notes) => {
      const recipients = await openKeys(context, { makes: true });
      const passphrase = inputs.passphrase ?? (await passphraseInVault(context, inputs));
      const old = await openLegacyBackup(inputs.file, { passphrase, iterations: inputs.iterations });
      context.host.info(`Importing ${old.facts.file} (${formatBytes(old.facts.bytes)}: ${old.facts.layers.join(', ')}) as ${timestamp}.`);
      if (old.ignored.length > 0) context.host.notice(`Not part of a dump, left out: ${someOf(old.ignored)}.`);
      for (const one of old.lost) context.host.warning(`Cannot be brought back: ${one}`);
      notes.usedBackup = timestamp;
      const imported = await importOne(context, { place, recipients, component, timestamp, old });
      const { copies } = inputs;
      const beside = await keysBesideDoubts(context, { ...place, copies, recipients });
      const returned = { ...imported, doubts: [...(imported.doubts ?? []), ...beside] };
      return withCopies(context, returned, { place, component, copies, recipients, always: timestamp });
    },
  );
}

interface Import {
  place: Place;
  recipients: readonly KeyRecipient[];
  component: string;
  timestamp: Timestamp;
  old: LegacyBackup;
}

async function importOne(context: Context, { place, recipients, component, timestamp, old }: Import): Promise<StepReturn> {
  const { host, clock, signal } = context;
  const started = clock.monotonic();
  const result = await writeBackup<ArchiveReport>({
    ...place,
    component,
    kind: 'mongodb',
    timestamp,
    recipients,
    source: old.source,
    newInspector: newArchiveInspector,
    facts: (content) => factsOf(old, content),
    tools: { lifeboat: project.version },
    ...(old.estimate === undefined ? {} : { sizeEstimate: old.estimate }),
    copies: await copyPlaces(context, context.inputs.copies),
    owner: lockOwner(context),
    lockWait: context.inputs.lockWait,
    clock,
    signal,
    onProgress: (progress) => {
      host.progress(progress);
    },
    onNotice: (message) => {
      host.notice(message);
    },
  });
  return report(context, place, old, result, (clock.monotonic() - started) / 1000);
}

/** @throws UsageError when there is no such file, neither input nor name tells, or the moment has not come yet */
function momentOf({ host, clock }: Context, { timestamp, file }: Inputs): Timestamp {
  // Before anything is said about its name.
  if (!existsSync(file)) throw new UsageError(`There is no file ${file}.`, { fix: `Set ${host.spell('file')} to the downloaded backup.` });
  const found = timestamp ?? timestampInName(file);
  if (found === undefined) {
    throw new UsageError(`The name of ${file} does not say when the backup was made.`, {
      fix: `Set ${host.spell('timestamp')}, such as 20241201_120000 (UTC).`,
    });
  }
  if (isFuture(found, clock.now())) {
    throw new UsageError(`${found} is in the future; an old backup cannot be from then.`, {
      fix: `Set ${host.spell('timestamp')} to when the backup was made, in UTC.`,
    });
  }
  return found;
}

/** @throws UsageError when the vault has no such secret */
async function passphraseInVault(context: Context, inputs: Inputs): Promise<Secret | undefined> {
  const { host, signal } = context;
  const { passphraseSecret: name, vault: address } = inputs;
  if (name === undefined || address === undefined) return undefined;
  const vault = await sessionOf(context).vault(address);
  const found = await vault.get(name, signal);
  if (!found) {
    throw new UsageError(`There is no secret ${name} in ${vault.location}.`, {
      fix: `Check ${host.spell('passphraseSecret')}, or give the passphrase itself: ${host.spell('passphrase')}.`,
    });
  }
  // The first line, as openssl reads a -pass file: of its end, only the line feed is not part of it.
  const text = found.value.split('\n')[0] as string;
  host.mask(text);
  return new Secret(text);
}

function factsOf({ facts: imported }: LegacyBackup, content: ArchiveReport) {
  return {
    source: { version: content.serverVersion, imported: { ...imported } as Record<string, JsonValue> },
    consistency: content.oplog === undefined ? ('per-collection' as const) : ('point-in-time' as const),
    suspect: doubtsOf(content, undefined, { maxShrinkPercent: 100 }),
  };
}

async function report(context: Context, { store }: Place, old: LegacyBackup, result: BackupResult, seconds: number): Promise<StepReturn> {
  const { manifest, component, timestamp, names } = result;
  const { name } = context.inputs;
  const content = manifest.content as ArchiveReport;
  const { documents, namespaces } = content.totals;
  const id = names.folder.replace(/\/$/, '');
  const restore = restoreStepOf(mongodb);
  const command = restore && restoreCommand(context, restore, { timestamp, component, name });
  context.setOutput('timestamp', timestamp);
  context.setOutput('backup', id);
  context.setOutput('documents', documents);
  context.setOutput('sha256', old.facts.sha256);
  context.setOutput('storedBytes', manifest.sizes.stored);
  context.setOutput('seconds', seconds.toFixed(1));
  await context.host.summary(
    page(
      heading(
        manifest.suspect.length + old.lost.length > 0 ? 'doubtful' : 'good',
        `Old backup ${timestamp} imported as ${component} and proved restorable`,
      ),
      [...manifest.suspect.map((reason) => `- **${reason}**`), ...old.lost.map((one) => `- Cannot be brought back: ${prose(one)}`)].join(
        '\n',
      ),
      facts([
        ['From', `${old.facts.file}, ${formatBytes(old.facts.bytes)}: ${old.facts.layers.join(', ')}`],
        ['SHA-256 of the file', old.facts.sha256],
        ['What', `${plural(documents, 'document')} in ${plural(namespaces, 'collection')}, ${serverText(content)}`],
        ['Size', `${formatBytes(manifest.sizes.plain)} unpacked, ${formatBytes(manifest.sizes.stored)} stored`],
        ['Time', formatSeconds(seconds)],
        ['Where', `${id} in ${store.location}`],
      ]),
      command === undefined ? undefined : 'Restore it with',
      command === undefined ? undefined : commandBlock(command),
      details('Collections', table(['collection', 'documents', 'BSON', 'indexes'], collectionRows(content))),
    ),
  );
  return {
    doubts: manifest.suspect,
    result: {
      component,
      timestamp,
      backup: id,
      location: store.location,
      imported: old.facts,
      lost: old.lost,
      documents,
      collections: namespaces,
      storedBytes: manifest.sizes.stored,
      verified: manifest.verified.level,
      seconds: Number(seconds.toFixed(1)),
      restore: command,
    },
  };
}

function serverText({ serverVersion }: ArchiveReport): string {
  return serverVersion === UNKNOWN_VERSION ? 'of a server whose version was not noted' : `of MongoDB ${serverVersion}`;
}

function someOf(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(', ');
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}
