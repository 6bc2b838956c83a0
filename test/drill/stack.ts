// The drill's own cloud: Azurite and the Key Vault simulator behind one token issuer, and a MongoDB. Driven through the real SDKs only.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { startAzurite, type Azurite } from '../backends/azurite.ts';
import { startKeyVault, type KeyVault } from '../backends/key-vault.ts';
import { startMongo } from '../backends/mongodb.ts';
import type { MongoServer } from '../backends/mongo-server.ts';
import { selfSignedCertificate } from '../backends/support.ts';

export const DRILL_NAME = 'lifeboat-drill';
export const DRILL_COMPONENT = 'mongodb';
const CONTAINER = 'backups';

export interface DrillStack {
  mongo: MongoServer;
  azurite: Azurite;
  vault: KeyVault;
  container: string;
  /** Inputs that sign a step in. */
  signIn: Record<string, string>;
  stop(): Promise<void>;
}

/** Starts everything below `folder`. @throws UserError when the machine has no database to offer */
export async function startStack(folder: string, mongodbUri: string | undefined): Promise<DrillStack> {
  const mongo = await startMongo(mongodbUri === undefined ? {} : { uri: mongodbUri });
  const certificate = await selfSignedCertificate(folder);
  const [azurite, vault] = await Promise.all([
    startAzurite({ folder: join(folder, 'blobs'), certificate }),
    startKeyVault({ certificate }),
  ]);
  await azurite.createContainer(CONTAINER);
  const app = vault.issuer.registerApp();
  return {
    mongo,
    azurite,
    vault,
    container: CONTAINER,
    signIn: {
      azureTenantId: vault.tenantId,
      azureClientId: app.clientId,
      azureClientSecret: app.clientSecret,
      azureAuthority: vault.issuer.authorityHost,
    },
    stop: async () => {
      await Promise.all([mongo.stop(), azurite.stop(), vault.stop()]);
    },
  };
}

/** Writes the drill's dr.yml and returns its path. */
export function writeDrYml(folder: string, stack: DrillStack, databases: readonly string[]): string {
  const file = join(folder, 'dr.yml');
  const content = {
    version: 1,
    name: DRILL_NAME,
    stores: {
      primary: { kind: 'azure-blob', account: stack.azurite.accountName, container: stack.container, endpoint: stack.azurite.accountUrl },
    },
    vault: { kind: 'azure-key-vault', url: stack.vault.url },
    components: {
      [DRILL_COMPONENT]: { kind: 'mongodb', source: { uri: '${env:DRILL_MONGODB_URI}' }, include: [...databases], store: 'primary' },
    },
  };
  writeFileSync(file, `# Written by scripts/drill.\n${stringify(content)}`);
  return file;
}
