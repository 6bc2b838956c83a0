// Damaged keys in every form they are kept in: a vault's secret, the wrapped key in manifest and metadata, the escrow's private file.
import { generateKeyPairSync } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KeyClient } from '@azure/keyvault-keys';
import { backupNames } from '../../shared/backup/layout.ts';
import { contentKeyFromMetadata } from '../../shared/backup/decrypt.ts';
import { verifyBackup } from '../../shared/backup/read.ts';
import { newArchiveInspector } from '../../shared/mongodb/archive-inspector.ts';
import { AzureKeyVault } from '../../shared/vaults/azure-key-vault/index.ts';
import { EscrowRecipient } from '../../shared/vaults/recipients/escrow.ts';
import { SecretRecipient } from '../../shared/vaults/recipients/secret.ts';
import type { KeyRecipient, WrappedKey } from '../../shared/vaults/vault.ts';
import { VaultKeyRecipient } from '../../shared/vaults/recipients/vault-key.ts';
import { startKeyVault, type KeyVault } from '../backends/key-vault.ts';
import { damage, file, flipped, onlyFile } from './damage.ts';
import type { Expected, Part, Trial } from './part.ts';
import { backUp, COMPONENT, folderWorld, PREFIX, prove, TIME, type World } from './small-backup.ts';

const NAMES = backupNames(PREFIX, COMPONENT, TIME);
const SECRET = 'lifeboat-mongodb-20241201-120000';
const NAMED = /lifeboat-mongodb-20241201|mongodb 20241201_120000/;
/** Data that fail verification: exit code 4. */
const DAMAGED: Expected = { kinds: ['verification'], names: NAMED };
/** Where damage hides what is missing: a key id of another vault is told as a key that nobody has. */
const DAMAGED_OR_MISSING: Expected = { kinds: ['verification', 'failed'], names: NAMED };

export const damageKeys: Part = {
  name: 'damage-keys',
  what: 'every byte flipped and every cut of keys: vault file, Key Vault secret, wrapped key for each kind of recipient, escrow file',
  async run(trial) {
    await vaultFile(trial);
    const server = await startKeyVault();
    try {
      await vaultSecret(trial, server);
      const { files, recipients } = await allKinds(trial, server);
      for (const recipient of recipients) {
        const world = { store: folderWorld(join(trial.folder, recipient.kind)).store, recipients: [recipient] };
        await backUp(world);
        await wrappedBytes(trial, world, recipient);
        await inMetadata(trial, world, recipient);
        await inManifest(trial, world, recipient);
      }
      await escrowFile(trial, files.privateKey);
    } finally {
      await server.stop();
    }
  },
};

async function vaultFile(trial: Trial): Promise<void> {
  const root = join(trial.folder, 'file');
  const world = folderWorld(root);
  await backUp(world);
  const vault = join(root, 'vault');
  const [name = ''] = readdirSync(vault);
  // A vault that cannot be read is a vault's error, a key that opens nothing is a verification error: both say which key.
  const thing = { ...file(onlyFile(join(vault, name))), name: 'key', expected: DAMAGED_OR_MISSING, harmlessAllowed: true };
  await damage(trial, world, thing);
}

/** The secret in a Key Vault, alone and with an escrow key beside it: then that one opens it, and it is said. */
async function vaultSecret(trial: Trial, server: KeyVault): Promise<void> {
  const secret = new SecretRecipient(await openVault(server));
  const { recipient: escrow } = await escrowPair(trial, 'beside');
  const { store } = folderWorld(join(trial.folder, 'secret'));
  await backUp({ store, recipients: [secret, escrow] });
  let value = '';
  server.damageSecret(SECRET, (whole) => (value = whole));
  const attempt = async (changed: Buffer, label: string): Promise<void> => {
    server.damageSecret(SECRET, () => changed.toString('latin1'));
    const harmless = Buffer.from(changed.toString('latin1'), 'base64').equals(Buffer.from(value, 'base64'));
    if (harmless) await trial.survives(label, () => prove({ store, recipients: [secret] }));
    else await trial.refused(label, DAMAGED, () => prove({ store, recipients: [secret] }));
    const said: string[] = [];
    const both = { store, prefix: PREFIX, component: COMPONENT, timestamp: TIME, recipients: [secret, escrow] };
    const onNotice = (message: string): void => void said.push(message);
    await trial.survives(`${label}, with an escrow key`, () => verifyBackup({ ...both, onNotice, newInspector: newArchiveInspector }));
    const told = said.some((line) => line.includes(escrow.location) && line.includes(SECRET));
    trial.holds(`${label}: that only the escrow key opens it is not said: ${said.join()}`, told !== harmless, 'detected');
  };
  const bytes = Buffer.from(value, 'latin1');
  for (const at of trial.places(bytes.length, 6)) {
    await flipped(trial, bytes, at, (changed, label) => attempt(changed, `secret in the Key Vault: ${label}`));
  }
  for (const length of trial.places(bytes.length, 6)) await attempt(bytes.subarray(0, length), `secret in the Key Vault cut at ${length}`);
  server.damageSecret(SECRET, () => value);
  await trial.survives('the secret put back', () => prove({ store, recipients: [secret] }));
}

async function openVault(server: KeyVault): Promise<AzureKeyVault> {
  return new AzureKeyVault(server.url, { credential: await server.issuer.credential(), tlsOptions: { ca: server.ca } });
}

async function escrowPair(trial: Trial, name: string): Promise<{ recipient: EscrowRecipient; privateKey: string }> {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 3072 });
  const path = join(trial.folder, `${name}.pem`);
  writeFileSync(path, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  return { recipient: await EscrowRecipient.open({ privateKey: path }), privateKey: path };
}

/** One recipient of each kind. */
async function allKinds(trial: Trial, server: KeyVault): Promise<{ recipients: KeyRecipient[]; files: { privateKey: string } }> {
  const credential = await server.issuer.credential();
  const tlsOptions = { ca: server.ca };
  const keys = new KeyClient(server.url, credential, { disableChallengeResourceVerification: true, tlsOptions });
  await keys.createRsaKey('backups', { keySize: 2048 });
  const { recipient: escrow, privateKey } = await escrowPair(trial, 'escrow');
  const recipients = [
    ...folderWorld(join(trial.folder, 'folder')).recipients,
    new SecretRecipient(new AzureKeyVault(server.url, { credential, tlsOptions })),
    new VaultKeyRecipient(`${server.url}/keys/backups`, { credential, tlsOptions }),
    escrow,
  ];
  return { recipients, files: { privateKey } };
}

/** The wrapped bytes themselves: whoever unwraps them sees that they were changed. */
async function wrappedBytes(trial: Trial, world: World, recipient: KeyRecipient): Promise<void> {
  const wrapped = await wrappedKey(world);
  const bytes = Buffer.from(wrapped.encryptedKey, 'base64');
  const attempt = async (changed: Buffer, label: string): Promise<void> => {
    const damaged = { ...wrapped, encryptedKey: changed.toString('base64') };
    const context = { component: COMPONENT, timestamp: TIME };
    await trial.refused(`wrapped for ${recipient.kind}: ${label}`, DAMAGED, () => recipient.unwrap(damaged, context));
  };
  for (const at of trial.places(bytes.length, 6)) await flipped(trial, bytes, at, attempt);
  for (const length of trial.places(bytes.length, 6)) await attempt(bytes.subarray(0, length), `cut at ${length}`);
}

async function wrappedKey(world: World): Promise<WrappedKey> {
  const manifest = JSON.parse(Buffer.from((await world.store.read(NAMES.manifest)) ?? '').toString()) as { keyRecipients: [WrappedKey] };
  return manifest.keyRecipients[0];
}

/** The metadata with which data are opened when the manifest is lost: another letter never gives another content key. */
async function inMetadata(trial: Trial, world: World, recipient: KeyRecipient): Promise<void> {
  const metadata = (await world.store.stat(NAMES.data))?.metadata ?? {};
  const context = { component: COMPONENT, timestamp: TIME };
  const { contentKey } = await contentKeyFromMetadata(metadata, [recipient], context);
  const { lifeboatkeys = '', encryptiondata = '' } = metadata;
  const forms: [name: string, text: string, rest: Record<string, string>][] = [
    ['lifeboatkeys', lifeboatkeys, {}],
    ['encryptiondata', encryptiondata, {}],
  ];
  for (const [name, text, rest] of forms) {
    const attempt = async (changed: string, label: string): Promise<void> => {
      const what = `${name} for ${recipient.kind}: ${label}`;
      try {
        const opened = await contentKeyFromMetadata({ ...rest, [name]: changed }, [recipient], context);
        trial.holds(`${what}: opens with another key`, opened.contentKey.equals(contentKey));
      } catch (thrown) {
        trial.judge(what, DAMAGED_OR_MISSING, thrown);
      }
    };
    for (const at of trial.places(text.length, 6)) {
      const letter = text[at] === 'x' ? 'y' : 'x';
      await attempt(text.slice(0, at) + letter + text.slice(at + 1), `letter ${at}`);
    }
    for (const length of trial.places(text.length, 6)) await attempt(text.slice(0, length), `cut at ${length}`);
  }
}

/** The wrapped key in the manifest, on which a restore stands. */
async function inManifest(trial: Trial, world: World, recipient: KeyRecipient): Promise<void> {
  const { encryptedKey } = await wrappedKey(world);
  const good = Buffer.from((await world.store.read(NAMES.manifest)) ?? '').toString();
  const metadata = { ...(await world.store.stat(NAMES.manifest))?.metadata };
  const start = good.indexOf(encryptedKey);
  const attempt = async (text: string, label: string): Promise<void> => {
    await world.store.write(NAMES.manifest, Buffer.from(text), { metadata });
    await trial.refused(`manifest, key for ${recipient.kind}: ${label}`, DAMAGED, () => prove(world));
  };
  for (const at of trial.places(encryptedKey.length, 6)) {
    const letter = encryptedKey[at] === 'x' ? 'y' : 'x';
    await attempt(good.slice(0, start + at) + letter + good.slice(start + at + 1), `letter ${at}`);
  }
  for (const length of trial.places(encryptedKey.length, 6)) {
    await attempt(good.slice(0, start + length) + good.slice(start + encryptedKey.length), `cut at ${length}`);
  }
  await world.store.write(NAMES.manifest, Buffer.from(good), { metadata });
  await trial.survives(`the manifest for ${recipient.kind} put back`, () => prove(world));
}

/** The escrow's private key lies off line for years: a damaged one is told as such, or opens all the same. */
async function escrowFile(trial: Trial, path: string): Promise<void> {
  const { store } = folderWorld(join(trial.folder, 'escrow'));
  const { bytes, put } = file(path);
  const attempt = async (changed: Buffer, label: string): Promise<void> => {
    await put(changed);
    try {
      await prove({ store, recipients: [await EscrowRecipient.open({ privateKey: path })] });
      trial.survive();
    } catch (thrown) {
      trial.judge(
        `escrow file: ${label}`,
        { kinds: ['usage', 'verification', 'failed'], names: /escrow|mongodb 20241201_120000/i },
        thrown,
      );
    }
  };
  for (const at of trial.places(bytes.length, 6)) await flipped(trial, bytes, at, attempt);
  for (const length of trial.places(bytes.length, 6)) await attempt(bytes.subarray(0, length), `cut at ${length}`);
  await put(bytes);
}
