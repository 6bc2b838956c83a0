// Every channel against a real receiver: what arrives, and what a person is told when the other side is down, slow, busy or says no.
import { createHmac } from 'node:crypto';
import { rmSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Notifications } from '../../shared/notify/notifications.ts';
import { openChannel, type ChannelEntry } from '../../shared/notify/open.ts';
import { rocketchatBody } from '../../shared/notify/rocketchat.ts';
import { slackBody } from '../../shared/notify/slack.ts';
import { teamsBody } from '../../shared/notify/teams.ts';
import { webhookBody } from '../../shared/notify/webhook.ts';
import { Masker } from '../../shared/step/masking.ts';
import { sendHttp } from '../../shared/tools/http.ts';
import { startHttpReceiver, type HttpReceiver } from '../backends/http-receiver.ts';
import { startSmtpReceiver, type SmtpReceiver } from '../backends/smtp-receiver.ts';
import { freePort, selfSignedCertificate, tempFolder, trustHere, type Certificate } from '../backends/support.ts';
import { FAILED, SUCCEEDED } from './messages.ts';

const TOKEN = 'T0K3N-of-a-webhook-4f9a';
const scratch = tempFolder('channels');
let certificate: Certificate;
let http: HttpReceiver;
let https: HttpReceiver;

beforeAll(async () => {
  certificate = await selfSignedCertificate(scratch);
  trustHere(certificate);
  http = await startHttpReceiver();
  https = await startHttpReceiver({ certificate });
});
afterAll(async () => {
  await http.stop();
  await https.stop();
  rmSync(scratch, { recursive: true, force: true });
});
afterEach(() => {
  for (const receiver of [http, https]) {
    receiver.requests.length = 0;
    receiver.answers.length = 0;
  }
});

/** What is told through channels, and the warnings. */
async function tell(entries: ChannelEntry[], message = FAILED, options: { beat?: boolean; cancelled?: boolean; begin?: boolean } = {}) {
  const warnings: string[] = [];
  const notifications = await Notifications.open(entries, { masker: new Masker(), warn: (warning) => warnings.push(warning) });
  if (options.begin) notifications.begin(message.component);
  return { ...(await notifications.tell(message, options)), warnings };
}

describe('webhooks', () => {
  test.each([
    ['slack', slackBody(FAILED)],
    ['teams', teamsBody(FAILED)],
    ['rocketchat', rocketchatBody(FAILED)],
    ['webhook', webhookBody(FAILED)],
  ] as const)('%s arrives as JSON, over https', async (kind, body) => {
    const { told, warnings } = await tell([{ kind, url: `${https.url}/hooks/${TOKEN}` }]);
    expect(warnings).toEqual([]);
    expect(told).toEqual([`${kind} ${new URL(https.url).host}`]);
    expect(https.requests).toHaveLength(1);
    expect(https.requests[0]).toMatchObject({ method: 'POST', path: `/hooks/${TOKEN}`, headers: { 'content-type': 'application/json' } });
    expect(JSON.parse(https.requests[0]?.body ?? '')).toEqual(body);
  });

  test('a receiver can check who signed a webhook, and when', async () => {
    await tell([{ kind: 'webhook', url: `${http.url}/`, secret: 'shared-secret' }]);
    const { headers, body } = http.requests[0] as HttpReceiver['requests'][0];
    const timestamp = String(FAILED.at.getTime() / 1000);
    expect(headers['x-lifeboat-timestamp']).toBe(timestamp);
    expect(headers['x-lifeboat-signature']).toBe(
      `sha256=${createHmac('sha256', 'shared-secret').update(`${timestamp}.${body}`).digest('hex')}`,
    );
  });

  test('429 with Retry-After is waited for, and sent again', async () => {
    http.answers.push({ status: 429, headers: { 'retry-after': '1' } });
    const started = performance.now();
    expect((await tell([{ kind: 'slack', url: http.url }])).warnings).toEqual([]);
    expect(http.requests).toHaveLength(2);
    expect(performance.now() - started).toBeGreaterThan(950);
  });

  test('a Retry-After of an hour is not waited for', async () => {
    http.answers.push({ status: 429, headers: { 'retry-after': '3600' } });
    const started = performance.now();
    const { warnings, told } = await tell([{ kind: 'slack', url: http.url }]);
    // Far below the hour; a busy machine may take its time.
    expect(performance.now() - started).toBeLessThan(10_000);
    expect(told).toEqual([]);
    expect(warnings).toEqual([
      `The notification through slack ${new URL(http.url).host} did not go out. ${new URL(http.url).host} answered 429: ok.`,
    ]);
  });

  test('a connection that is cut and a 503 are tried again', async () => {
    http.answers.push({ drop: true }, { status: 503 });
    expect((await tell([{ kind: 'teams', url: http.url }])).warnings).toEqual([]);
    expect(http.requests).toHaveLength(3);
  });

  test('a receiver that says no is asked once; the warning says what to do, and never the secret', async () => {
    http.answers.push({ status: 404, body: `no hook /hooks/${TOKEN}` });
    const { warnings } = await tell([{ kind: 'slack', url: `${http.url}/hooks/${TOKEN}` }]);
    expect(http.requests).toHaveLength(1);
    expect(warnings[0]).toContain('answered 404. The address or its token is wrong, or was revoked');
    expect(warnings.join()).not.toContain(TOKEN);
  });

  test.each([
    ['the last part of the path', (url: string) => `${url}/hooks/${TOKEN}`],
    ['a part of the query', (url: string) => `${url}/run?api-version=1&sig=${TOKEN}`],
  ])('a receiver that repeats %s by itself gives no secret away', async (_what, address) => {
    http.answers.push({ status: 400, body: `invalid_token: ${TOKEN}` });
    expect((await tell([{ kind: 'slack', url: address(http.url) }])).warnings[0]).toContain('answered 400: invalid_token: ***.');
  });

  test('a receiver that answers without end is not listened to for long', async () => {
    http.answers.push({ status: 400, body: 'no '.repeat(20_000_000) });
    const { warnings } = await tell([{ kind: 'slack', url: http.url }]);
    expect(warnings[0]).toMatch(/answered 400: (?:no )+.{0,2}….$/);
  });

  test('a redirect is not followed', async () => {
    http.answers.push({ status: 307, headers: { location: `${https.url}/elsewhere` } });
    expect((await tell([{ kind: 'webhook', url: http.url }])).warnings[0]).toContain('answered 307: ok. Redirects are not followed');
    expect(https.requests).toEqual([]);
  });

  test('one that is down does not keep the others from being told', async () => {
    const down = `http://127.0.0.1:${await freePort()}`;
    const { told, warnings } = await tell([
      { kind: 'slack', url: `${down}/${TOKEN}` },
      { kind: 'teams', url: http.url },
    ]);
    expect(told).toEqual([`teams ${new URL(http.url).host}`]);
    expect(warnings).toEqual([
      `The notification through slack ${new URL(down).host} did not go out. ${new URL(down).host} cannot be reached (ECONNREFUSED), after 3 attempts.`,
    ]);
  });

  test('a slow one is given up', async () => {
    http.answers.push({ delayMs: 5000 }, { delayMs: 5000 });
    const slow = sendHttp({ method: 'POST', url: `${http.url}/${TOKEN}`, timeoutMs: 200, attempts: 2 });
    await expect(slow).rejects.toThrow(`${new URL(http.url).host} did not answer within 0.2 s, after 2 attempts.`);
  });

  test('a run that is being cancelled tries once, for four seconds', async () => {
    http.answers.push({ delayMs: 120_000 });
    const started = performance.now();
    const { warnings } = await tell([{ kind: 'slack', url: http.url }], { ...FAILED, event: 'cancelled' }, { cancelled: true });
    expect(performance.now() - started).toBeLessThan(10_000);
    expect(warnings).toHaveLength(1);
  });
});

describe('who is told', () => {
  test('by event, and by component', async () => {
    const url = http.url;
    const entries: ChannelEntry[] = [
      { kind: 'slack', url, on: ['succeeded'] },
      { kind: 'teams', url, components: ['users'] },
      { kind: 'rocketchat', url, components: ['mongodb'] },
      { kind: 'webhook', url },
    ];
    expect((await tell(entries)).told.map((label) => label.split(' ')[0])).toEqual(['rocketchat', 'webhook']);
    expect((await tell(entries, SUCCEEDED)).told.map((label) => label.split(' ')[0])).toEqual(['slack']);
  });

  test('secrets in an error are not passed on', async () => {
    const masker = new Masker();
    masker.add('mongodb://app:hunter2hunter2@db/');
    const notifications = await Notifications.open([{ kind: 'webhook', url: http.url }], { masker, warn: () => undefined });
    await notifications.tell({
      ...FAILED,
      title: 'hunter2hunter2',
      text: 'login with mongodb://app:hunter2hunter2@db/ failed',
      next: 'x hunter2hunter2',
    });
    expect(http.requests[0]?.body).not.toContain('hunter2');
  });

  test.each(['ftp://x/', 'hooks.slack.com/services/x', ''])('%j is not an address, and is not shown', async (url) => {
    await expect(openChannel({ kind: 'slack', url })).rejects.toThrow(
      'The address of the slack channel does not begin with https:// or http://.',
    );
  });
});

describe('heartbeat', () => {
  const heartbeat = (path = '/ping/uuid'): ChannelEntry => ({ kind: 'heartbeat', url: `${http.url}${path}` });

  test('start, then fail with the log as body, under one run id', async () => {
    await tell([heartbeat()], FAILED, { beat: true, begin: true });
    const [start, fail] = http.requests.map(({ path, method, body }) => ({ url: new URL(path, http.url), method, body }));
    expect(start?.url.pathname).toBe('/ping/uuid/start');
    expect(fail?.url.pathname).toBe('/ping/uuid/fail');
    expect(start?.url.searchParams.get('rid')).toMatch(/^[0-9a-f-]{36}$/);
    expect(fail?.url.search).toBe(start?.url.search);
    expect(fail?.method).toBe('POST');
    expect(fail?.body).toContain('Check the role "backup".');
  });

  test.each([
    ['succeeded', '/ping/uuid'],
    ['recovered', '/ping/uuid'],
    ['partial', '/ping/uuid/fail'],
    ['cancelled', '/ping/uuid/log'],
    ['refused', '/ping/uuid/log'],
  ] as const)('%s pings %s', async (event, path) => {
    await tell([heartbeat('/ping/uuid/')], { ...SUCCEEDED, event }, { beat: true });
    expect(new URL(http.requests[0]?.path ?? '', http.url).pathname.replace(/\/$/, '')).toBe(path);
  });

  test('a body is cut at 100 kB, between two letters', async () => {
    await tell([heartbeat()], { ...FAILED, text: '€'.repeat(60_000) }, { beat: true });
    const body = http.requests[0]?.body ?? '';
    expect(Buffer.byteLength(body)).toBeLessThanOrEqual(100_000);
    expect(body).toMatch(/€$/);
  });

  test('what is no run of a backup is no sign of life', async () => {
    expect((await tell([heartbeat()], SUCCEEDED)).told).toEqual([]);
  });

  test('the end does not overtake a slow beginning', async () => {
    http.answers.push({ delayMs: 400 });
    await tell([heartbeat()], SUCCEEDED, { beat: true, begin: true });
    expect(http.requests.map(({ path }) => new URL(path, http.url).pathname)).toEqual(['/ping/uuid/start', '/ping/uuid']);
  });
});

describe('email', () => {
  const PASSWORD = 'p@ss/word-5f2e';
  const credentials = { user: 'backup@example.org', pass: PASSWORD };
  const address = (port: number, password = PASSWORD): string =>
    `smtp://${encodeURIComponent(credentials.user)}:${encodeURIComponent(password)}@127.0.0.1:${port}`;
  const email = (url: string, to = ['oncall@example.org', 'team@example.org']): ChannelEntry => ({
    kind: 'email',
    url,
    from: 'backups@example.org',
    to,
  });
  let smtp: SmtpReceiver;

  beforeAll(async () => {
    smtp = await startSmtpReceiver({ certificate, credentials });
  });
  afterAll(async () => {
    await smtp.stop();
  });
  afterEach(() => {
    smtp.mails.length = 0;
    smtp.refuse.clear();
  });

  test('arrives through STARTTLS, signed in', async () => {
    const { told, warnings } = await tell([email(address(smtp.port))]);
    expect(warnings).toEqual([]);
    expect(told).toEqual(['email 127.0.0.1']);
    expect(smtp.mails).toMatchObject([
      { from: 'backups@example.org', to: ['oncall@example.org', 'team@example.org'], secure: true, user: credentials.user },
    ]);
    expect(smtp.mails[0]?.text).toContain('Subject: [critical] mongodb-backup of rocketchat-production/mongodb failed');
    expect(smtp.mails[0]?.text).toMatch(
      /Content-Type: multipart\/alternative[\s\S]*Content-Type: text\/plain[\s\S]*Content-Type: text\/html/,
    );
    // Quoted-printable: a line may be folded.
    expect(smtp.mails[0]?.text.replace(/=\r\n/g, '')).toContain('lifeboat mongodb-backup --component mongodb');
  });

  test('one recipient that is refused is named; the others get it', async () => {
    smtp.refuse.add('team@example.org');
    const { warnings } = await tell([email(address(smtp.port))]);
    expect(smtp.mails.map(({ to }) => to)).toEqual([['oncall@example.org']]);
    expect(warnings[0]).toContain(
      'The mail server refused 1 recipient of 2: team@example.org. Correct or remove them under notify in dr.yml.',
    );
  });

  test('all recipients refused', async () => {
    smtp.refuse.add('team@example.org').add('oncall@example.org');
    const { warnings, told } = await tell([email(address(smtp.port))]);
    expect(told).toEqual([]);
    expect(warnings[0]).toContain('did not take the message: ');
  });

  test('a wrong password is said, and not shown', async () => {
    const { warnings } = await tell([email(address(smtp.port, 'wrong-password-77'))]);
    expect(warnings[0]).toContain('does not take this user name and password (535). Correct the secret with the SMTP address.');
    expect(warnings[0]).not.toContain('wrong-password-77');
  });

  test('a password is never sent to a server without TLS', async () => {
    const plain = await startSmtpReceiver({ certificate, credentials, startTls: false });
    try {
      const { warnings } = await tell([email(address(plain.port))]);
      expect(plain.mails).toEqual([]);
      expect(warnings[0]).toMatch(/did not take the message: .*TLS/i);
    } finally {
      await plain.stop();
    }
  });

  test('a relay without a password takes it, too', async () => {
    const relay = await startSmtpReceiver({ certificate });
    try {
      expect((await tell([email(`smtp://127.0.0.1:${relay.port}`)])).warnings).toEqual([]);
      expect(relay.mails).toMatchObject([{ user: undefined }]);
    } finally {
      await relay.stop();
    }
  });

  test('a server that is down', async () => {
    const { warnings } = await tell([email(address(await freePort()))]);
    expect(warnings[0]).toMatch(/The mail server 127\.0\.0\.1 did not take the message: .*ECONNREFUSED/);
  });

  test('a server that is slow is given up when there is little time', async () => {
    const slow = await startSmtpReceiver({ certificate, credentials, delayMs: 120_000 });
    try {
      const started = performance.now();
      const { warnings } = await tell([email(address(slow.port))], FAILED, { cancelled: true });
      expect(performance.now() - started).toBeLessThan(10_000);
      expect(warnings).toHaveLength(1);
    } finally {
      await slow.stop();
    }
  });
});
