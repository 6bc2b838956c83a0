// What Azure Blob storage answers, in plain words: cause and fix for every refusal that a person can do something about.
import { UserError, CancelledError } from '../../step/errors.ts';
import { plural } from '../../step/format.ts';
import { StoreError } from '../errors.ts';

/** The parts of @azure/core-rest-pipeline's RestError that are looked at. */
export interface AzureFailure {
  /** Azure's error code, such as `BlobArchived`, or Node's, such as `ENOTFOUND`. */
  code: string;
  /** HTTP status; 0 when there was no answer. */
  status: number;
  headers: { get(name: string): string | undefined } | undefined;
}

/** Reads a thrown RestError; undefined when something else was thrown. A HEAD request has its code only in a header. */
export function azureFailure(thrown: unknown): AzureFailure | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown || 'statusCode' in thrown)) return undefined;
  const error = thrown as Error & {
    code?: unknown;
    statusCode?: unknown;
    response?: { headers?: AzureFailure['headers'] };
    cause?: unknown;
  };
  const headers = error.response?.headers;
  const text = headers?.get('x-ms-error-code') ?? error.code;
  return { code: typeof text === 'string' ? text : '', status: typeof error.statusCode === 'number' ? error.statusCode : 0, headers };
}

/** True when Azure answered with that code. */
export function isAzureError(thrown: unknown, ...codes: string[]): boolean {
  const failure = azureFailure(thrown);
  return failure !== undefined && codes.includes(failure.code);
}

/** Where a request went, for the messages. */
export interface AzurePlace {
  account: string;
  container: string;
  /** The container's address without a SAS. */
  url: string;
  /** How requests are signed. */
  access: 'token' | 'sas' | 'key';
}

/** The StoreError of anything thrown by a request. A UserError (such as a failed sign-in) stays what it is. */
export function azureError(what: string, thrown: unknown, place: AzurePlace): UserError {
  if (thrown instanceof UserError) return thrown;
  const failure = azureFailure(thrown);
  if (thrown instanceof Error && thrown.name === 'AbortError') return new CancelledError('Cancelled.', { cause: thrown });
  const [reason, fix] = (failure && (byCode(failure, place) ?? byStatus(failure, place))) ?? [plainReason(thrown), undefined];
  return new StoreError(`${what} failed: ${reason}.`, { cause: thrown, fix });
}

type Explanation = [reason: string, fix: string | undefined];

function byCode({ code, headers }: AzureFailure, place: AzurePlace): Explanation | undefined {
  const { account, container } = place;
  switch (code) {
    case 'ContainerNotFound':
      return [
        `storage account ${account} has no container "${container}"`,
        `Create it: az storage container create --account-name ${account} --name ${container} --auth-mode login`,
      ];
    case 'ContainerBeingDeleted':
      return [`the container ${container} is being deleted`, 'Wait a minute, create it again, or use another name.'];
    case 'AuthorizationPermissionMismatch':
    case 'InsufficientAccountPermissions':
    case 'AuthorizationResourceTypeMismatch':
    case 'AuthorizationServiceMismatch':
      return notPermitted(place);
    case 'AuthorizationFailure':
    case 'AuthorizationSourceIPMismatch':
      return place.access === 'sas'
        ? notPermitted(place)
        : [
            `the storage account ${account} refuses this machine or this identity`,
            'Allow this machine in the account\'s networking settings (firewall or private endpoint), and check the role "Storage Blob Data Contributor".',
          ];
    case 'AuthenticationFailed':
    case 'InvalidAuthenticationInfo':
    case 'NoAuthenticationInformation':
      return notAuthenticated(headers, place);
    case 'KeyBasedAuthenticationNotPermitted':
      return [`account keys and SAS are switched off on ${account}`, 'Sign in with an identity instead: leave the SAS or key away.'];
    case 'PublicAccessNotPermitted':
    case 'ResourceNotFound':
      return [`${account} does not know this caller`, 'Sign in with an identity, or give a SAS.'];
    case 'AccountIsDisabled':
      return [`the storage account ${account} is disabled`, 'Check the subscription: a disabled or unpaid one locks its accounts.'];
    case 'BlobArchived':
      return [
        'the blob is in the archive tier, which cannot be read directly',
        'Bring it back first (takes hours): az storage blob set-tier --tier Hot --rehydrate-priority High, with the same account, container and name.',
      ];
    case 'BlobBeingRehydrated':
      return ['the blob is being brought back from the archive tier', 'Wait until its tier is Hot; this takes up to 15 hours.'];
    case 'BlobImmutableDueToPolicy':
      return ['an immutability policy or legal hold protects the blob', 'It can be deleted or replaced when the policy has run out.'];
    case 'LeaseIdMissing':
      return [
        'another run or program holds a lease on the blob',
        'Wait until the other run has ended, or break the lease: az storage blob lease break.',
      ];
    case 'ConditionNotMet':
      return ['the blob was changed by another run meanwhile', 'Make sure that no other run uses this store, then try again.'];
    case 'InvalidBlockList':
      return ['another run wrote the same blob at the same time', 'Make sure that no other run uses this store, then try again.'];
    case 'ENOTFOUND':
      return [
        `the name of ${account} (${hostOf(place.url)}) cannot be resolved`,
        'Check the account name. With a private endpoint, check that this machine uses its DNS zone.',
      ];
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
      return [
        `the certificate of ${hostOf(place.url)} is not trusted`,
        'If a proxy of yours inspects TLS, set NODE_EXTRA_CA_CERTS to the file with its certificate.',
      ];
    case 'CERT_HAS_EXPIRED':
    case 'CERT_NOT_YET_VALID':
      return [`the certificate of ${hostOf(place.url)} is not valid now`, "Check this machine's clock."];
    default:
      return undefined;
  }
}

function byStatus({ code, status }: AzureFailure, place: AzurePlace): Explanation | undefined {
  const shown = code === '' ? `status ${status}` : `${code}, status ${status}`;
  if (status === 0) {
    return [
      `${hostOf(place.url)} cannot be reached${code === '' ? '' : ` (${code})`}`,
      'Check the network, the proxy and the firewall of the storage account, then run this again.',
    ];
  }
  if (status === 429 || status === 503) {
    return [
      `${place.account} is overloaded and kept answering "${shown}"`,
      'Run this again later. If it happens often, look at the throttling metrics of the storage account.',
    ];
  }
  if (status === 401) return notAuthenticated(undefined, place);
  if (status === 403) return notPermitted(place);
  if (status >= 500) return [`the storage service reported an error of its own (${shown})`, 'Run this again later.'];
  return undefined;
}

function notPermitted(place: AzurePlace): Explanation {
  if (place.access === 'sas') {
    return [
      `the SAS does not permit this on container ${place.container}`,
      'Make one for the container with the permissions racwdl (read, add, create, write, delete, list).',
    ];
  }
  return [
    `the identity may not do this in container ${place.container} of ${place.account}`,
    'Give it the role "Storage Blob Data Contributor" on the container or account. Owner and Contributor do not include it, and a new role takes up to 10 minutes.',
  ];
}

function notAuthenticated(headers: AzureFailure['headers'], place: AzurePlace): Explanation {
  const skew = clockSkewSeconds(headers);
  if (Math.abs(skew) > 240) {
    return [
      `${place.account} did not accept the sign-in, and this machine's clock is ${plural(Math.round(Math.abs(skew) / 60), 'minute')} ${skew > 0 ? 'ahead' : 'behind'}`,
      'Set the clock (NTP), then try again.',
    ];
  }
  const fixes = {
    sas: 'Make a new SAS: it has expired, is not valid yet, or was copied incompletely.',
    token: "Check that the identity belongs to the storage account's tenant, and sign in again.",
    key: 'Check the account key: it may have been rotated.',
  };
  return [`${place.account} did not accept the ${place.access === 'sas' ? 'SAS' : place.access}`, fixes[place.access]];
}

function clockSkewSeconds(headers: AzureFailure['headers']): number {
  const date = Date.parse(headers?.get('date') ?? '');
  return Number.isNaN(date) ? 0 : (Date.now() - date) / 1000;
}

/** The first line only: the rest of Azure's messages are request ids, and a parse error may hold a whole answer. */
function plainReason(thrown: unknown): string {
  const line = (thrown instanceof Error ? thrown.message : String(thrown)).split('\n')[0] ?? '';
  return line.slice(0, 200).replace(/\.$/, '');
}

function hostOf(url: string): string {
  return new URL(url).host;
}
