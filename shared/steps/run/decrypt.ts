// What `lifeboat decrypt` does: turns a data object that was downloaded by hand into the plain archive, and proves it where it can.
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { contentKeyFromMetadata, decryptData } from '../../backup/decrypt.ts';
import { MAX_MANIFEST_BYTES, parseManifest, type Manifest, type StoredManifest } from '../../backup/manifest.ts';
import { unwrapWithAny } from '../../backup/read.ts';
import { newArchiveInspector, type ArchiveInspector } from '../../mongodb/archive-inspector.ts';
import type { StepReturn } from '../../step/define.ts';
import { errorMessage, RefusedError, throwIfCancelled, UsageError, VerificationError } from '../../step/errors.ts';
import { formatBytes, formatCount, plural } from '../../step/format.ts';
import { shellLine } from '../../step/shell.ts';
import type { Timestamp } from '../../step/timestamp.ts';
import { KeyFileRecipient, readKeyFile } from '../../vaults/key-file-recipient.ts';
import type { KeyRecipient } from '../../vaults/vault.ts';
import type { Context } from '../decrypt/inputs.ts';
import { openKeys } from './open.ts';
import { facts, page } from './summary.ts';

type Inputs = Context['inputs'];

const ARCHIVE_MAGIC = Buffer.from([0x6d, 0xe2, 0x99, 0x81]);

export async function runDecrypt(context: Context): Promise<StepReturn> {
  const inputs = context.inputs;
  if (existsSync(inputs.output) && !inputs.force) {
    throw new RefusedError(`${inputs.output} exists already.`, {
      fix: `Choose another ${context.host.spell('output')}, or add ${context.host.spell('force')}.`,
    });
  }
  const stored = inputs.manifest === undefined ? undefined : await readManifest(inputs.manifest);
  const contentKey = await findContentKey(context, inputs, stored?.manifest);
  stored?.checkHmac(contentKey);
  const { bytes, report } = await decryptToFile(context, inputs, contentKey, stored?.manifest);
  const proved = provedText(stored !== undefined, report !== undefined);
  await context.host.summary(
    page(
      `### Decrypted: ${inputs.output}`,
      facts([
        ['Size', formatBytes(bytes)],
        ...(report === undefined
          ? []
          : [['Archive', `whole: ${formatCount(report.documents)} documents in ${plural(report.namespaces, 'collection')}`] as const]),
        ['Proved', proved],
        ...(report === undefined ? [] : [['Restore it with', shellLine(['mongorestore', `--archive=${inputs.output}`])] as const]),
      ]),
    ),
  );
  return { result: { output: inputs.output, bytes, manifestChecked: stored !== undefined, ...(report ? { archive: report } : {}) } };
}

function provedText(manifest: boolean, archive: boolean): string {
  if (manifest) return 'every byte, against the manifest';
  return archive
    ? 'every byte is authentic, and the archive is complete to its last collection'
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

/** The content key, through whoever of the recipients can open it. */
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
  const metadata = JSON.parse(await readFile(inputs.metadata, 'utf8')) as Record<string, string>;
  const subject = { component: 'backup', timestamp: (metadata['timestamp'] ?? 'without a timestamp') as Timestamp, onNotice, signal };
  return (await contentKeyFromMetadata(metadata, recipients, subject)).contentKey;
}

async function decryptToFile(
  context: Context,
  { data, output }: Inputs,
  contentKey: Buffer,
  manifest: Manifest | undefined,
): Promise<{ bytes: number; report?: { namespaces: number; documents: number } }> {
  const { host, signal } = context;
  const partial = `${output}.partial`;
  const total = (
    await stat(data).catch((cause: unknown) => {
      throw new UsageError(`The data ${data} cannot be read: ${errorMessage(cause)}.`, {
        fix: 'Check the path and your rights on the file.',
        cause,
      });
    })
  ).size;
  const hash = createHash('sha256');
  const file = await open(partial, 'w', 0o600);
  try {
    let bytes = 0;
    let inspector: ArchiveInspector | undefined;
    for await (const chunk of decryptData({ stored: hashed(data, hash), contentKey, label: data })) {
      throwIfCancelled(signal);
      if (bytes === 0 && chunk.subarray(0, 4).equals(ARCHIVE_MAGIC)) inspector = newArchiveInspector();
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
    await file.sync();
    await file.close();
    await rename(partial, output);
    return { bytes, ...(report ? { report: report.totals } : {}) };
  } catch (thrown) {
    await file.close().catch(() => undefined);
    await rm(partial, { force: true });
    throw thrown;
  }
}

async function* hashed(path: string, hash: ReturnType<typeof createHash>): AsyncGenerator<Buffer> {
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    yield chunk;
  }
}
