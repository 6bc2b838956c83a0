import { describe, expect, test } from '@jest/globals';
import { federatedCredentialCommand, identityOf, roleDefinition, storeRoleCommand } from '../../shared/doctor/azure-roles.ts';
import { type Check } from '../../shared/backup/finding.ts';
import { isForbidden, runChecks } from '../../shared/doctor/check.ts';
import { scheduleChecks } from '../../shared/doctor/schedule.ts';
import { storeChecks } from '../../shared/doctor/store.ts';
import { CancelledError, UserError } from '../../shared/step/errors.ts';
import { systemClock } from '../../shared/tools/clock.ts';
import { MemoryStore } from '../support/memory-store.ts';

const options = { timeout: 60_000, signal: new AbortController().signal, monotonic: () => 0 };

describe('checks', () => {
  test('run side by side; what they throw is a finding with its fix', async () => {
    const order: string[] = [];
    const check = (name: string, ms: number): Check => ({
      name,
      look: async () => {
        order.push(`${name} begins`);
        await new Promise((resume) => setTimeout(resume, ms));
        order.push(`${name} ends`);
        if (name === 'b') throw new UserError('It broke.', { fix: 'Mend it.' });
        return { status: 'ok', seen: 'fine' };
      },
    });
    const results = await runChecks([check('a', 60), check('b', 5)], options);
    expect(order).toEqual(['a begins', 'b begins', 'b ends', 'a ends']);
    expect(results).toMatchObject([
      { name: 'a', status: 'ok' },
      { name: 'b', status: 'failed', seen: 'It broke.', fix: 'Mend it.' },
    ]);
  });

  test('that hang are ended by their time-out', async () => {
    const hangs: Check = {
      name: 'hangs',
      look: async (signal) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            reject(new Error('aborted'));
          });
        }),
    };
    const [result] = await runChecks([hangs], { ...options, timeout: 30 });
    expect(result).toMatchObject({ status: 'failed', seen: expect.stringMatching(/^No answer within/) });
  });

  test('end with a cancel when the run is cancelled', async () => {
    const controller = new AbortController();
    const check: Check = { name: 'a', look: async () => (controller.abort(), { status: 'ok', seen: '' }) };
    await expect(runChecks([check], { ...options, signal: controller.signal })).rejects.toThrow(CancelledError);
  });
});

describe('the store', () => {
  const subject = (store: MemoryStore) => ({
    store,
    prefix: 'shop',
    clock: systemClock,
    estimate: async () => undefined,
    grant: async () => 'az role assignment create …',
  });

  test('keeps nothing of a probe, whichever request fails', async () => {
    for (const method of ['write', 'read', 'list', 'delete'] as const) {
      for (const when of ['before', 'after'] as const) {
        const store = new MemoryStore();
        let calls = 0;
        store.faults[when] = (call) => {
          if (call.method === method && calls++ === 0) throw new UserError('no');
        };
        const [access] = await runChecks(storeChecks(subject(store)), options);
        expect(access).toMatchObject({ name: 'store-access', status: 'failed' });
        expect([...store.objects.keys()]).toEqual([]);
      }
    }
  });

  test('that says forbidden comes with the command that helps', async () => {
    const store = new MemoryStore();
    const forbidden = new UserError('Not allowed.', { fix: 'Get the role.', cause: Object.assign(new Error('403'), { statusCode: 403 }) });
    store.faults.before = ({ method }) => {
      if (method === 'write') throw forbidden;
    };
    const results = await runChecks(storeChecks(subject(store)), options);
    expect(results).toMatchObject([
      { seen: 'A probe could not be written: Not allowed.', fix: 'Get the role.\naz role assignment create …' },
      { name: 'clock', status: 'skipped' },
      { name: 'space', status: 'skipped' },
    ]);
  });

  test.each([
    [0, 'ok'],
    [90, 'warning'],
    [-600, 'failed'],
  ])('whose clock is %s s off: %s', async (seconds, status) => {
    const store = new MemoryStore({ now: () => new Date(Date.now() + seconds * 1000) });
    const results = await runChecks(storeChecks(subject(store)), options);
    expect(results.find(({ name }) => name === 'clock')?.status).toBe(status);
  });
});

test('the schedule is judged: absent, at the full hour, good', async () => {
  const look = async (schedule: string | null | undefined) => {
    const subject = { store: undefined, prefix: 'shop', component: undefined, schedule, now: new Date('2024-12-01T12:00:00Z') };
    return (await runChecks(scheduleChecks(subject), options))[0];
  };
  expect(await look(null)).toMatchObject({ status: 'skipped' });
  expect(await look(undefined)).toMatchObject({ status: 'warning', fix: expect.stringMatching(/schedule: "\d+ 2 \* \* \*"/) });
  expect(await look('0 2 * * *')).toMatchObject({ status: 'warning', fix: expect.stringMatching(/"\d+ 2 \* \* \*"/) });
  expect(await look('17 2 * * *')).toMatchObject({
    status: 'ok',
    seen: '"17 2 * * *": next due 2024-12-02 02:17 UTC, at most 24h 00m between two backups.',
  });
  // Every 15 minutes must not become once an hour, and words come due at a full hour, too.
  expect(await look('*/15 * * * *')).toMatchObject({
    status: 'warning',
    fix: expect.stringMatching(/^Move it to minute \d+, for example/),
  });
  expect(await look('first sunday at 03:00 Europe/Berlin')).toMatchObject({ status: 'warning' });
  expect(await look('first sunday at 03:17 Europe/Berlin')).toMatchObject({
    status: 'ok',
    seen: expect.stringContaining('next due 2025-01-05 02:17 UTC'),
  });
});

describe('what to paste', () => {
  const token = (claims: object): string => `x.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.y`;

  test('names the identity of the token, and the container', () => {
    const identity = identityOf(token({ oid: 'object-1', appid: 'app-1', tid: 'tenant-1' }));
    expect(identity).toEqual({ objectId: 'object-1', clientId: 'app-1', tenantId: 'tenant-1', user: undefined });
    expect(storeRoleCommand(identity, 'stdrprod', 'backups')).toBe(
      'az role assignment create --assignee-object-id object-1 --assignee-principal-type ServicePrincipal --role "Storage Blob Data Contributor" ' +
        '--scope "$(az storage account show --name stdrprod --query id --output tsv)/blobServices/default/containers/backups"',
    );
    expect(storeRoleCommand(identityOf('opaque'), 'a', 'b')).toContain('--assignee <client id>');
  });

  test('is for a user where a person signed in with the Azure CLI', () => {
    const azureCli = '04b07795-8ddb-461a-bbee-02f9e1bf7b46';
    const identity = identityOf(token({ oid: 'object-2', appid: azureCli, scp: 'user_impersonation', upn: 'ada@example.org' }));
    expect(identity.user).toBe('ada@example.org');
    expect(storeRoleCommand(identity, 'a', 'b')).toContain('--assignee-object-id object-2 --assignee-principal-type User ');
  });

  test('a federated credential says exactly what the token says', () => {
    const command = federatedCredentialCommand('app-1', { issuer: 'https://i', subject: 'repo:a/b:ref:refs/heads/main', audience: 'aud' });
    expect(JSON.parse(/--parameters '(.*)'$/.exec(command)?.[1] ?? '')).toEqual({
      name: 'lifeboat',
      issuer: 'https://i',
      subject: 'repo:a/b:ref:refs/heads/main',
      audiences: ['aud'],
    });
  });

  test('the role has no action that manages anything', () => {
    expect(JSON.stringify(roleDefinition())).not.toMatch(/\*|roleAssignments/);
  });
});

test('forbidden is found below any number of wrappings, and circles end', () => {
  const inner = Object.assign(new Error('x'), { statusCode: 403 });
  expect(isForbidden(new Error('a', { cause: new Error('b', { cause: inner }) }))).toBe(true);
  const circle = new Error('c');
  circle.cause = circle;
  expect(isForbidden(circle)).toBe(false);
});
