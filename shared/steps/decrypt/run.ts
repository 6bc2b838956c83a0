// What `lifeboat decrypt` does: turns a data object that was downloaded by hand into the plain archive, and proves it where it can.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { contentKeyFromMetadata, decryptData } from '../../backup/decrypt.ts';
import { MAX_MANIFEST_BYTES, parseManifest, type Manifest, type StoredManifest } from '../../backup/manifest.ts';
import { unwrapWithAny } from '../../backup/read.ts';
import type { Inspector } from '../../backup/inspector.ts';
import type { Count, KindWork } from '../../backup/kind.ts';
import type { Kinds } from '../../kinds/registry.ts';
import type { StepReturn } from '../../step/define.ts';
import { errorMessage, throwIfCancelled, UsageError, VerificationError } from '../../step/errors.ts';
import { formatBytes, items, plural } from '../../step/format.ts';
import { shellLine } from '../../step/shell.ts';
import type { Timestamp } from '../../step/timestamp.ts';
import { readableMetadata } from '../../stores/names.ts';
import { fileError, kindOf, OutputFile } from '../../tools/output-file.ts';
import { KeyFileRecipient, readKeyFile } from '../../vaults/recipients/key-file.ts';
import type { KeyRecipient } from '../../vaults/vault.ts';
import type { Context } from './inputs.ts';
import { openKeys } from '../../session/open.ts';
import { sessionOf } from '../../session/session.ts';
import { facts, heading, page } from '../../pages/summary.ts';

type Inputs = Context['inputs'];

export async function runDecrypt(context: Context): Promise<StepReturn> {
  const inputs = context.inputs;
  const total = await sizeOf(inputs.data);
  const file = await OutputFile.create(inputs.output, { replace: inputs.force });
  try {
    return await decryptInto(context, inputs, { file, total });
  } finally {
    await file.discard();
  }
}

async function decryptInto(context: Context, inputs: Inputs, { file, total }: { file: OutputFile; total: number }): Promise<StepReturn> {
  const stored = inputs.manifest === undefined ? undefined : await readManifest(inputs.manifest);
  const contentKey = await findContentKey(context, inputs, stored?.manifest);
  stored?.checkHmac(contentKey);
  const { bytes, read } = await decryptToFile(context, inputs, { contentKey, manifest: stored?.manifest, file, total });
  const count = read?.count;
  const proved = provedText(stored !== undefined, count !== undefined);
  await context.host.summary(
    page(
      heading('good', `Decrypted: ${inputs.output}`),
      facts([
        ['Size', formatBytes(bytes)],
        ...(count === undefined
          ? []
          : [['Content', `whole: ${items(count.units, count.unit)} in ${plural(count.groups, count.group)}`] as const]),
        ['Proved', proved],
        ...(read?.restoreWith === undefined ? [] : [['Restore it with', shellLine(read.restoreWith(inputs.output))] as const]),
      ]),
    ),
  );
  return {
    result: {
      output: inputs.output,
      bytes,
      manifestChecked: stored !== undefined,
      ...(read ? { content: { [read.count.unit]: read.count.units, [read.groups]: read.count.groups } } : {}),
    },
  };
}

function provedText(manifest: boolean, parsed: boolean): string {
  if (manifest) return 'every byte, against the manifest';
  return parsed
    ? 'every byte is authentic, and the content is whole to its end'
    : 'every byte is authentic; whether the end is missing cannot be told without the manifest';
}

async function readManifest(path: string): Promise<StoredManifest> {
  try {
    const { size } = await stat(path);
    if (size > MAX_MANIFEST_BYTES)
      throw new UsageError(`${path} is larger than a manifest can be.`, {
        fix: 'Give the object manifest.json that lies beside the data.',
      });
    return parseManifest(await readFile(path), path);
  } catch (thrown) {
    if (thrown instanceof UsageError || thrown instanceof VerificationError) throw thrown;
    throw new UsageError(`The manifest ${path} cannot be read: ${errorMessage(thrown)}.`, {
      fix: 'Check the path, or download manifest.json again; without it give the metadata of the data object.',
      cause: thrown,
    });
  }
}

/** The content key, through the first recipient that can open it. */
async function findContentKey(context: Context, inputs: Inputs, manifest: Manifest | undefined): Promise<Buffer> {
  const { host, signal } = context;
  const onNotice = (message: string): void => {
    host.warning(message);
  };
  const recipients: KeyRecipient[] = [];
  const key = inputs.keyFile === undefined ? undefined : await readKeyFile(inputs.keyFile);
  // Without a list of wrapped keys, the file must hold the content key itself.
  if (key && manifest === undefined && inputs.metadata === undefined) return key;
  if (key && inputs.keyFile !== undefined) recipients.push(new KeyFileRecipient(inputs.keyFile, key));
  if (inputs.vault !== undefined || inputs.escrowKey !== undefined) recipients.push(...(await openKeys(context)));
  if (recipients.length === 0) {
    throw new UsageError('Nothing is given that could open the data.', {
      fix: `Give ${host.spell('keyFile')}, ${host.spell('escrowKey')} or ${host.spell('vault')}.`,
    });
  }
  if (manifest) {
    const { component, timestamp, keyRecipients } = manifest;
    return (await unwrapWithAny(keyRecipients, { component, timestamp, recipients, onNotice, signal })).contentKey;
  }
  if (inputs.metadata === undefined) {
    throw new UsageError('The wrapped key is missing: it lies in the manifest, or in the metadata of the data object.', {
      fix: `Give ${host.spell('manifest')} or ${host.spell('metadata')} (for example from: az storage blob metadata show).`,
    });
  }
  const metadata = await readMetadata(inputs.metadata);
  const subject = { component: 'backup', timestamp: (metadata['timestamp'] ?? 'without a timestamp') as Timestamp, onNotice, signal };
  return (await contentKeyFromMetadata(metadata, recipients, subject)).contentKey;
}

/** What a file of metadata may be at most; 8 KiB is what stores keep. */
const MAX_METADATA_BYTES = 1024 * 1024;

/** The data object's metadata: the object itself, or a file that has it inside, as a folder store and the tools of the clouds write it. */
async function readMetadata(path: string): Promise<Record<string, string>> {
  const unreadable = `The metadata ${path} cannot be read`;
  const fix =
    'Give the metadata of the object data as JSON: the file that a folder store keeps, or what az storage blob metadata show prints.';
  let text: string;
  try {
    if ((await stat(path)).size > MAX_METADATA_BYTES) throw new UsageError(`${unreadable}: the file is too large.`, { fix });
    text = await readFile(path, 'utf8');
  } catch (thrown) {
    throw fileError(unreadable, thrown);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new UsageError(`${unreadable}: it is not JSON.`, { fix, cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new UsageError(`${unreadable}: it is no JSON object.`, { fix });
  const { metadata, Metadata } = value as { metadata?: unknown; Metadata?: unknown };
  return readableMetadata(metadata ?? Metadata ?? value);
}

async function sizeOf(data: string): Promise<number> {
  try {
    const status = await stat(data);
    if (status.isFile()) return status.size;
    throw new UsageError(`The data ${data} cannot be read: it is ${kindOf(status)}.`, { fix: 'Give the file that was the object "data".' });
  } catch (thrown) {
    throw fileError(`The data ${data} cannot be read`, thrown);
  }
}

interface KnownKind {
  groups: string;
  work: KindWork;
}

/** What is in the file, by its kind. */
interface ReadContent {
  count: Count;
  groups: string;
  restoreWith: ((path: string) => readonly string[]) | undefined;
}

async function decryptToFile(
  context: Context,
  { data }: Inputs,
  { contentKey, manifest, file, total }: { contentKey: Buffer; manifest: Manifest | undefined; file: OutputFile; total: number },
): Promise<{ bytes: number; read?: ReadContent | undefined }> {
  const { host, signal } = context;
  const hash = createHash('sha256');
  let bytes = 0;
  let kind: KnownKind | undefined;
  let inspector: Inspector | undefined;
  for await (const chunk of decryptData({ stored: hashed(data, hash), contentKey, label: data })) {
    throwIfCancelled(signal);
    if (bytes === 0) {
      kind = await kindOfContent(sessionOf(context).kinds, manifest, chunk);
      inspector = kind?.work.newInspector();
    }
    await inspector?.write(chunk);
    await file.write(chunk);
    bytes += chunk.length;
    host.progress({ phase: 'Decrypting', done: bytes, ...(manifest ? { total: manifest.sizes.plain } : {}), unit: 'bytes' });
  }
  if (manifest && (hash.digest('hex') !== manifest.sha256 || total !== manifest.sizes.stored || bytes !== manifest.sizes.plain)) {
    throw new VerificationError(`${data} is not what its manifest says: its size or its SHA-256 differs.`, {
      fix: 'Download it again, or take another copy.',
    });
  }
  const report = await inspector?.end();
  await file.commit();
  if (kind === undefined || report === undefined) return { bytes };
  const { groups, work } = kind;
  return { bytes, read: { count: work.count(report), groups, restoreWith: work.plain?.restoreWith } };
}

/** The kind that the manifest says; without one, the kind whose plain stream begins like this. */
async function kindOfContent(kinds: Kinds, manifest: Manifest | undefined, start: Buffer): Promise<KnownKind | undefined> {
  for (const one of kinds.all) {
    const work: KindWork = await one.load();
    const { plain } = work;
    const known = manifest === undefined ? plain?.magic.every((byte, at) => start[at] === byte) : one.kind === manifest.kind;
    if (known) return { groups: one.groups, work };
  }
  return undefined;
}

async function* hashed(path: string, hash: ReturnType<typeof createHash>): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      yield chunk;
    }
  } catch (thrown) {
    throw fileError(`The data ${path} cannot be read`, thrown);
  }
}
