// What to paste to give an identity the rights it needs in Azure: role assignments, the smallest role that does, a federated credential.

/** Who asks, as its access token says. */
export interface AzureIdentity {
  /** Object id in the tenant: what a role is assigned to. */
  objectId: string | undefined;
  clientId: string | undefined;
  tenantId: string | undefined;
  /** A person's sign-in name; undefined for an application or a managed identity. */
  user: string | undefined;
}

/** Reads an Entra access token; what it does not say stays undefined. The token is neither checked nor kept. */
export function identityOf(token: string): AzureIdentity {
  let claims: Record<string, unknown> = {};
  try {
    claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;
  } catch {
    // Not a JWT: then no one can say whose it is.
  }
  const text = (name: string): string | undefined => (typeof claims[name] === 'string' ? claims[name] : undefined);
  // Only a token on behalf of a person has scopes; its application is then the tool that the person used, such as the Azure CLI.
  const user = text('scp') === undefined ? undefined : (text('upn') ?? text('unique_name') ?? text('oid'));
  return { objectId: text('oid'), clientId: text('appid') ?? text('azp'), tenantId: text('tid'), user };
}

/** `az role assignment create …` for a container. */
export function storeRoleCommand(identity: AzureIdentity, account: string, container: string): string {
  return assignment(
    identity,
    'Storage Blob Data Contributor',
    `"$(az storage account show --name ${account} --query id --output tsv)/blobServices/default/containers/${container}"`,
  );
}

/** `az role assignment create …` for a vault, by its host name's first part. */
export function vaultRoleCommand(
  identity: AzureIdentity,
  vaultName: string,
  role: 'Key Vault Secrets Officer' | 'Key Vault Crypto User',
): string {
  return assignment(identity, role, `"$(az keyvault show --name ${vaultName} --query id --output tsv)"`);
}

function assignment({ objectId, clientId, user }: AzureIdentity, role: string, scope: string): string {
  const assignee =
    objectId === undefined
      ? `--assignee ${clientId ?? '<client id>'}`
      : `--assignee-object-id ${objectId} --assignee-principal-type ${user === undefined ? 'ServicePrincipal' : 'User'}`;
  return `az role assignment create ${assignee} --role "${role}" --scope ${scope}`;
}

/** A custom role with nothing but what this program does, for administrators who may not hand out the built-in ones. `az role definition create --role-definition @lifeboat-role.json`. */
export function roleDefinition(): Record<string, unknown> {
  return {
    Name: 'Lifeboat backup',
    Description: 'What Lifeboat needs: blobs of the backup container, secrets of the backup vault.',
    Actions: ['Microsoft.Storage/storageAccounts/blobServices/containers/read'],
    DataActions: [
      'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read',
      'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write',
      'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/add/action',
      'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/delete',
      'Microsoft.KeyVault/vaults/secrets/getSecret/action',
      'Microsoft.KeyVault/vaults/secrets/setSecret/action',
      'Microsoft.KeyVault/vaults/secrets/readMetadata/action',
      'Microsoft.KeyVault/vaults/secrets/delete',
      'Microsoft.KeyVault/vaults/secrets/recover/action',
      'Microsoft.KeyVault/vaults/secrets/purge/action',
      'Microsoft.KeyVault/vaults/keys/read',
      'Microsoft.KeyVault/vaults/keys/wrap/action',
      'Microsoft.KeyVault/vaults/keys/unwrap/action',
    ],
    AssignableScopes: ['/subscriptions/<subscription id>'],
  };
}

/** What a federated credential must say to match a CI system's token. */
export function federatedCredentialCommand(
  clientId: string | undefined,
  { issuer, subject, audience }: { issuer: string; subject: string; audience: string },
): string {
  const parameters = JSON.stringify({ name: 'lifeboat', issuer, subject, audiences: [audience] });
  return `az ad app federated-credential create --id ${clientId ?? '<client id>'} --parameters '${parameters}'`;
}
