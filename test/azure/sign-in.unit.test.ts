// Which way to sign in is chosen, and what is said when none works.
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { azureCredential, type AzureSignInOptions } from '../../shared/azure/sign-in.ts';
import { signInError } from '../../shared/azure/sign-in-errors.ts';
import { MemoryHost } from '../../shared/hosts/memory.ts';
import { UsageError } from '../../shared/step/errors.ts';
import type { HostKind } from '../../shared/step/host.ts';
import { Secret } from '../../shared/step/input.ts';
import { tempFolder } from '../backends/support.ts';

const SCOPE = 'https://storage.azure.com/.default';
const path = process.env['PATH'];
afterEach(() => {
  process.env['PATH'] = path;
});

const at = (kind: HostKind): AzureSignInOptions['host'] => {
  const host = new MemoryHost();
  return {
    kind,
    spell: (name) => host.spell(name),
    oidcToken: (audience) => host.oidcToken(audience),
    serviceConnection: () => undefined,
    debug: (message) => {
      host.debug(message);
    },
  };
};
const nothing = { env: {}, whyNoManagedIdentity: async () => 'this machine is not in Azure' };

/** Puts a program named az first on PATH. */
function fakeAz(script: string): void {
  const folder = tempFolder('az');
  writeFileSync(join(folder, 'az'), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, 'az'), 0o755);
  process.env['PATH'] = `${folder}:/usr/bin:/bin`;
}

test.each([
  ['a tenant without a client', { host: at('github'), tenantId: 't' }, /azureTenantId is set without azureClientId/],
  [
    'a secret without a tenant',
    { host: at('github'), clientId: 'c', clientSecret: new Secret('s') },
    /needs azureClientId and azureTenantId/,
  ],
  ['a service connection on GitHub', { host: at('github'), serviceConnection: 'prod' }, /no service connection "prod"/],
  ['a client without a proof on Azure', { host: at('azure'), clientId: 'c', tenantId: 't' }, /nothing to prove itself/],
  ['a client without a proof on a terminal', { host: at('terminal'), clientId: 'c', tenantId: 't' }, /nothing to prove itself/],
  ['an authority without https', { host: at('github'), authorityHost: 'http://x' }, /not an https address/],
] as [string, AzureSignInOptions, RegExp][])('%s is refused before anything is sent', (_what, options, message) => {
  expect(() => azureCredential({ ...nothing, ...options })).toThrow(UsageError);
  expect(() => azureCredential({ ...nothing, ...options })).toThrow(message);
});

test('uses the az session, and starts az once for many clients', async () => {
  const count = join(tempFolder('az'), 'count');
  const answer = JSON.stringify({ accessToken: 'token', expires_on: Math.floor(Date.now() / 1000) + 3600, tokenType: 'Bearer' });
  fakeAz(`echo x >> ${count}; echo '${answer}'`);
  const host = new MemoryHost();
  const credential = azureCredential({ ...nothing, host });
  await Promise.all([credential.getToken(SCOPE), credential.getToken(SCOPE)]);
  expect((await credential.getToken(SCOPE))?.token).toBe('token');
  expect(host.log).toEqual(['debug: Azure sign-in: the az session (the user that az is logged in as).']);
  const { readFileSync } = await import('node:fs');
  expect(readFileSync(count, 'utf8')).toBe('x\n');
});

test('says of every way it tried why it failed, and what to do on each host', async () => {
  fakeAz(`echo "Please run 'az login' to setup account." >&2; exit 1`);
  const failing = azureCredential({ ...nothing, host: at('github') }).getToken(SCOPE);
  await expect(failing).rejects.toThrow(
    'No one is signed in to Azure. Tried:\n' +
      '- Sign-in to Azure by the az session failed: there is no az session.\n' +
      '- Sign-in to Azure by managed identity failed: this machine is not in Azure.',
  );
  await expect(failing).rejects.toMatchObject({ fix: expect.stringContaining('id-token: write') as unknown });
});

test('an explicit choice never falls through to the az session', async () => {
  fakeAz('echo "{}"');
  const host = new MemoryHost();
  await expect(azureCredential({ ...nothing, host, clientId: 'c', tenantId: 't' }).getToken(SCOPE)).rejects.toThrow(/no OIDC tokens/);
  expect(host.log).toEqual([]);
});

test.each([
  [
    "AADSTS700213: No matching federated identity record found for presented assertion subject 'x'",
    /no federated credential of app matches/,
    /subject s/,
  ],
  ['AADSTS7000222: The provided client secret keys are expired.', /client secret of app has expired/, /OIDC/],
  ['AADSTS90002: Tenant not found.', /there is no tenant ten/, /az account show/],
  ['AADSTS700016: Application with identifier was not found', /no application app in tenant ten/, /application id/],
  ['AADSTS53003: Access has been blocked', /conditional access/, /administrator/],
  ['getaddrinfo ENOTFOUND login.microsoftonline.com', /cannot be reached/, /proxy/],
  ['something new happened', /something new happened/, /subject s/],
])('explains %s', (text, message, fix) => {
  const claims = { issuer: 'i', subject: 's', audience: 'a', expires: undefined };
  const error = signInError("GitHub's OIDC token", new Error(text), { clientId: 'app', tenantId: 'ten', claims }, 'general');
  expect(error.message).toMatch(message);
  expect(error.fix).toMatch(fix);
});
