// What `import-backup` does: an old file → plain stream → the same way into the store as any backup, under its old timestamp.
import { existsSync } from 'node:fs';
import type { JsonValue } from '../../backup/json.ts';
import { reportOf, type KindWork, type OldBackup } from '../../backup/kind.ts';
import type { BackupResult } from '../../backup/write.ts';
import type { AnyKind } from '../../kinds/registry.ts';
import { restoreCommand, restoreStepOf } from '../../pages/restore-command.ts';
import { commandBlock, details, facts, heading, page, table } from '../../pages/summary.ts';
import { backUpSource } from '../../runs/backup.ts';
import { copyPlaces, withCopies } from '../../runs/copy.ts';
import { recorded } from '../../runs/record.ts';
import { newComponent } from '../../session/components.ts';
import { keysBesideDoubts } from '../../session/key-place.ts';
import type { Place } from '../../backup/place.ts';
import { openKeys, openPlace } from '../../session/open.ts';
import { sessionOf } from '../../session/session.ts';
import type { StepReturn } from '../../step/define.ts';
import { UsageError } from '../../step/errors.ts';
import { formatBytes, formatSeconds, items, listed, plural } from '../../step/format.ts';
import { Secret } from '../../step/input.ts';
import { prose } from '../../step/prose.ts';
import { formatTimestamp, type Timestamp } from '../../step/timestamp.ts';
import type { Context } from './inputs.ts';
import { timestampInName } from './moment.ts';

type Inputs = Context['inputs'];

/** @param kinds those that open old backups, at least one */
export async function runImportBackup(context: Context, kinds: readonly AnyKind[]): Promise<StepReturn> {
  const inputs = context.inputs;
  const kind = await importedKind(context, kinds);
  const work = await kind.load();
  const component = await newComponent(context, kind);
  const timestamp = momentOf(context, inputs);
  return recorded(
    context,
    () => openPlace(context, { makes: true }),
    { component, effects: 'writes' },
    async (place, notes) => {
      const recipients = await openKeys(context, { makes: true });
      const passphrase = inputs.passphrase ?? (await passphraseInVault(context, inputs));
      const old = await openOld(work, inputs.file, { passphrase, iterations: inputs.iterations });
      context.host.info(`${old.source.said} as ${timestamp}.`);
      if (old.ignored.length > 0) context.host.notice(`No part of a backup, left out: ${listed(old.ignored)}.`);
      for (const one of old.lost) context.host.warning(`Cannot be brought back: ${one}`);
      notes.usedBackup = timestamp;
      const started = context.clock.monotonic();
      const { copies } = inputs;
      const result = await backUpSource(context, kind, {
        ...{ place, recipients, component, timestamp, source: old.source, selection: {}, showsWriting: true },
        inputs: { verify: 'full', compression: 'zstd', compressionLevel: 3, maxShrink: 100, limitRate: undefined },
        copies: await copyPlaces(context, copies),
      });
      const imported = await report(context, { kind, work, place, old, result, seconds: (context.clock.monotonic() - started) / 1000 });
      const beside = await keysBesideDoubts(context, { ...place, copies, recipients });
      const returned = { ...imported, doubts: [...(imported.doubts ?? []), ...beside] };
      return withCopies(context, returned, { place, component, copies, recipients, always: timestamp });
    },
  );
}

/** The kind of the component, as dr.yml has it; else the first that opens old backups. */
async function importedKind(context: Context, kinds: readonly AnyKind[]): Promise<AnyKind> {
  const dr = await sessionOf(context).dr();
  const { component } = context.inputs;
  const named = component === undefined ? undefined : dr?.dr.components[component]?.kind;
  const kind = named === undefined ? kinds[0] : kinds.find((one) => one.kind === named);
  if (kind !== undefined) return kind;
  throw new UsageError(`Old backups of kind ${named ?? ''} cannot be imported.`, {
    fix: `Name a component of kind ${kinds.map((one) => one.kind).join(' or ')}: ${context.host.spell('component')}.`,
  });
}

function openOld({ openOld }: KindWork, ...args: Parameters<NonNullable<KindWork['openOld']>>): Promise<OldBackup> {
  if (openOld === undefined) throw new Error('The kind has words for old backups, and opens none.');
  return openOld(...args);
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
  if (found > formatTimestamp(clock.now())) {
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

interface Imported {
  kind: AnyKind;
  work: KindWork;
  place: Place;
  old: OldBackup;
  result: BackupResult;
  seconds: number;
}

async function report(context: Context, { kind, work, place: { store }, old, result, seconds }: Imported): Promise<StepReturn> {
  const { manifest, component, timestamp, names } = result;
  const { setOutput, inputs } = context;
  const content: JsonValue = reportOf(kind, manifest);
  const { unit, units, groups, group } = work.count(content);
  const folded = work.details(content);
  const id = names.folder.replace(/\/$/, '');
  const restore = restoreStepOf(kind);
  const command = restore && restoreCommand(context, restore, { timestamp, component, name: inputs.name });
  const { file } = old;
  setOutput('timestamp', timestamp);
  setOutput('backup', id);
  setOutput('items', units);
  // The step's definition has the name of the kind's own unit, too.
  setOutput(unit as 'items', units);
  setOutput('sha256', file.sha256);
  setOutput('storedBytes', manifest.sizes.stored);
  setOutput('seconds', seconds.toFixed(1));
  const doubts = [
    ...manifest.suspect.map((reason) => `- **${reason}**`),
    ...old.lost.map((one) => `- Cannot be brought back: ${prose(one)}`),
  ];
  await context.host.summary(
    page(
      heading(doubts.length > 0 ? 'doubtful' : 'good', `Old backup ${timestamp} imported as ${component} and proved restorable`),
      doubts.join('\n'),
      facts([
        ['From', `${file.file}, ${formatBytes(file.bytes)}: ${file.layers.join(', ')}`],
        ['SHA-256 of the file', file.sha256],
        ['What', `${items(units, unit)} in ${plural(groups, group)}, ${old.origin(content)}`],
        ['Size', `${formatBytes(manifest.sizes.plain)} unpacked, ${formatBytes(manifest.sizes.stored)} stored`],
        ['Time', formatSeconds(seconds)],
        ['Where', `${id} in ${store.location}`],
      ]),
      command === undefined ? undefined : 'Restore it with',
      command === undefined ? undefined : commandBlock(command),
      details(folded.title, table(folded.head, folded.rows)),
    ),
  );
  return {
    doubts: manifest.suspect,
    result: {
      component,
      timestamp,
      backup: id,
      location: store.location,
      imported: file,
      lost: old.lost,
      items: { unit, count: units },
      [unit]: units,
      [kind.groups]: groups,
      storedBytes: manifest.sizes.stored,
      verified: manifest.verified.level,
      seconds: Number(seconds.toFixed(1)),
      restore: command,
    },
  };
}
