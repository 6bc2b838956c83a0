// The exact shape of what each service gets: what they document, with nothing in it that they would take for markup.
import { describe, expect, test } from '@jest/globals';
import { emailOf } from '../../shared/notify/email.ts';
import { htmlText } from '../../shared/notify/email-html.ts';
import { rocketchatBody } from '../../shared/notify/rocketchat.ts';
import { slackBody } from '../../shared/notify/slack.ts';
import { teamsBody } from '../../shared/notify/teams.ts';
import { factsOf } from '../../shared/notify/text.ts';
import { signature, webhookBody } from '../../shared/notify/webhook.ts';
import { FAILED, SUCCEEDED } from './messages.ts';

describe('webhook', () => {
  test('a failure', () => {
    expect(webhookBody(FAILED)).toEqual({
      version: 1,
      event: 'failed',
      severity: 'critical',
      title: FAILED.title,
      text: FAILED.text,
      name: 'rocketchat-production',
      component: 'mongodb',
      step: 'mongodb-backup',
      at: '2024-12-01T02:20:00.000Z',
      since: '2024-11-30T14:17:00.000Z',
      lastGoodBackup: { timestamp: '20241130_021700', time: '2024-11-30T02:17:00.000Z' },
      next: 'lifeboat mongodb-backup --component mongodb',
      run: { id: '4711', url: 'https://github.com/o/r/actions/runs/4711', actor: 'octocat', workflow: 'Backup' },
    });
  });

  test('what is not known is null, never missing', () => {
    expect(webhookBody(SUCCEEDED)).toMatchObject({
      component: null,
      since: null,
      lastGoodBackup: null,
      next: null,
      run: { url: null, actor: null },
    });
  });

  test('the signature is the HMAC-SHA256 of time and body', () => {
    // echo -n '1.{}' | openssl dgst -sha256 -hmac key
    expect(signature('key', '1', '{}')).toBe('sha256=1ba6b8171186efc613e8bcc0cbdab2748f24984d7c5a84faa2637afa0e40d224');
  });
});

test('slack: blocks in a coloured attachment; control characters escaped, so that nobody can be mentioned', () => {
  expect(slackBody(FAILED)).toEqual({
    text: '🚨 mongodb-backup of rocketchat-production/mongodb failed',
    attachments: [
      {
        color: '#cf222e',
        blocks: [
          { type: 'header', text: { type: 'plain_text', text: '🚨 mongodb-backup of rocketchat-production/mongodb failed', emoji: true } },
          {
            type: 'section',
            text: {
              type: 'mrkdwn',
              text: 'mongodump ended with 1: (Unauthorized) not authorized on &lt;admin&gt; &amp; @all [x](y) *z*.\nCheck the role "backup".',
              verbatim: true,
            },
          },
          {
            type: 'section',
            fields: [
              { type: 'mrkdwn', text: '*What*\nmongodb of rocketchat-production', verbatim: true },
              { type: 'mrkdwn', text: '*How bad*\ncritical', verbatim: true },
              { type: 'mrkdwn', text: '*Since*\n2024-11-30 14:17 UTC', verbatim: true },
              { type: 'mrkdwn', text: '*Last good backup*\n20241130_021700 (2024-11-30 02:17 UTC)', verbatim: true },
              { type: 'mrkdwn', text: '*Run*\nBackup, by octocat', verbatim: true },
              { type: 'mrkdwn', text: '*At*\n2024-12-01 02:20 UTC', verbatim: true },
            ],
          },
          {
            type: 'section',
            text: { type: 'mrkdwn', text: '*Run next*\n```lifeboat mongodb-backup --component mongodb```', verbatim: true },
          },
          {
            type: 'section',
            text: { type: 'mrkdwn', text: '<https://github.com/o/r/actions/runs/4711|Open the run>', verbatim: true },
          },
        ],
      },
    ],
  });
});

test.each([
  ['what Slack escapes', { title: '<'.repeat(5000), text: '&'.repeat(50_000), next: '>'.repeat(9000) }],
  ['mentions', { title: '<!channel> @here', text: '<!everyone> @channel <@U123> <!subteam^S1>\n'.repeat(500), next: '<!here>' }],
  ['emoji that a cut would halve', { title: '🚨'.repeat(99), text: '🚨'.repeat(3000), next: `x${'🚨'.repeat(3000)}` }],
])('slack: nothing is longer than Block Kit takes, mentions anybody or is no Unicode: %s', (_what, changes) => {
  const body = slackBody({ ...FAILED, ...changes }) as {
    text: string;
    attachments: { blocks: { type: string; text?: { text: string } }[] }[];
  };
  for (const { type, text } of body.attachments[0]?.blocks ?? []) {
    if (text) expect(text.text.length).toBeLessThanOrEqual(type === 'header' ? 150 : 3000);
    if (text && type !== 'header') expect(text.text).not.toMatch(/<(?!https:\/\/github\.com\/)/);
  }
  expect(body.text).not.toContain('<');
  expect(body.text.length).toBeLessThanOrEqual(3000);
  expect(JSON.stringify(body).isWellFormed() && !JSON.stringify(body).includes('\\ud')).toBe(true);
});

test('teams: an adaptive card as a workflow takes it; nothing but the facts is Markdown, and a timestamp has no backslash on a phone', () => {
  expect(teamsBody(FAILED)).toEqual({
    type: 'message',
    attachments: [
      {
        contentType: 'application/vnd.microsoft.card.adaptive',
        contentUrl: null,
        content: {
          $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
          type: 'AdaptiveCard',
          version: '1.4',
          msteams: { width: 'Full' },
          body: [
            {
              type: 'Container',
              style: 'attention',
              bleed: true,
              items: [
                {
                  type: 'RichTextBlock',
                  inlines: [
                    {
                      type: 'TextRun',
                      text: '🚨 mongodb-backup of rocketchat-production/mongodb failed',
                      weight: 'Bolder',
                      size: 'Medium',
                    },
                  ],
                },
              ],
            },
            {
              type: 'RichTextBlock',
              inlines: [{ type: 'TextRun', text: 'mongodump ended with 1: (Unauthorized) not authorized on <admin> & @all [x](y) *z*.' }],
            },
            { type: 'RichTextBlock', inlines: [{ type: 'TextRun', text: 'Check the role "backup".' }] },
            {
              type: 'FactSet',
              facts: [
                { title: 'What', value: 'mongodb of rocketchat-production' },
                { title: 'How bad', value: 'critical' },
                { title: 'Since', value: '2024-11-30 14:17 UTC' },
                { title: 'Last good backup', value: '20241130_021700 (2024-11-30 02:17 UTC)' },
                { title: 'Run', value: 'Backup, by octocat' },
                { title: 'At', value: '2024-12-01 02:20 UTC' },
              ],
            },
            { type: 'RichTextBlock', inlines: [{ type: 'TextRun', text: 'Run next', weight: 'Bolder' }], spacing: 'Medium' },
            {
              type: 'RichTextBlock',
              inlines: [{ type: 'TextRun', text: 'lifeboat mongodb-backup --component mongodb', fontType: 'Monospace' }],
            },
          ],
          actions: [{ type: 'Action.OpenUrl', title: 'Open the run', url: 'https://github.com/o/r/actions/runs/4711' }],
        },
      },
    ],
  });
});

test.each([
  ['lines', '_', 'line [x] ✅\n', 'x'],
  ['letters that JSON escapes', '\u0001', '\u0001\\"', '\u0001'],
  ['letters of three bytes', '復', '元\n', '復'],
  ['emoji', '🚨', '🚨', '🚨'],
])('teams: a card stays below the 28 KB that a workflow takes, in UTF-8 and UTF-16: %s', (_what, title, text, next) => {
  const name = '_*[]'.repeat(200);
  const json = JSON.stringify(teamsBody({ ...FAILED, name, title: title.repeat(9000), text: text.repeat(9000), next: next.repeat(9000) }));
  expect(Buffer.byteLength(json)).toBeLessThan(28 * 1024);
  expect(json.length * 2).toBeLessThan(28 * 1024);
  expect(json).not.toContain('\\ud');
});

test('rocketchat: one attachment; a mention in an error wakes nobody up', () => {
  expect(rocketchatBody(FAILED)).toEqual({
    text: '🚨 mongodb-backup of rocketchat-production/mongodb failed',
    attachments: [
      {
        color: '#cf222e',
        title: 'Open the run',
        title_link: 'https://github.com/o/r/actions/runs/4711',
        text:
          'mongodump ended with 1: (Unauthorized) not authorized on <admin> & @\u200ball [x](y) *z*.\nCheck the role "backup".\n\n' +
          'Run next:\n```\nlifeboat mongodb-backup --component mongodb\n```',
        fields: [
          { short: true, title: 'What', value: 'mongodb of rocketchat-production' },
          { short: true, title: 'How bad', value: 'critical' },
          { short: true, title: 'Since', value: '2024-11-30 14:17 UTC' },
          { short: true, title: 'Last good backup', value: '20241130_021700 (2024-11-30 02:17 UTC)' },
          { short: true, title: 'Run', value: 'Backup, by octocat' },
          { short: true, title: 'At', value: '2024-12-01 02:20 UTC' },
        ],
      },
    ],
  });
});

test('rocketchat: a long error is cut, the command to run next is not; the title is never refused as too long', () => {
  const body = rocketchatBody({ ...FAILED, title: '@all '.repeat(3000), text: 'x`@here\n'.repeat(2000) }) as {
    text: string;
    attachments: { text: string }[];
  };
  expect(body.attachments[0]?.text).toMatch(/^x`@\u200bhere\n[^]*…\n\nRun next:\n```\nlifeboat mongodb-backup --component mongodb\n```$/);
  expect(body.attachments[0]?.text.length).toBeLessThanOrEqual(5000);
  expect(body.text.length).toBeLessThanOrEqual(5000);
});

test('email: subject in one line, facts as plain text, no answer from an absent colleague', () => {
  const mail = emailOf({ ...FAILED, title: 'a\r\nBcc: x@example.org' }, { from: 'a@example.org', to: ['b@example.org'] });
  expect(mail).toMatchObject({
    from: 'a@example.org',
    to: ['b@example.org'],
    subject: '[critical] rocketchat-production: a Bcc: x@example.org',
    headers: { 'Auto-Submitted': 'auto-generated', Importance: 'high' },
  });
  expect(emailOf(FAILED, { from: 'a', to: ['b'] }).text).toBe(`mongodb-backup of rocketchat-production/mongodb failed

mongodump ended with 1: (Unauthorized) not authorized on <admin> & @all [x](y) *z*.
Check the role "backup".

What              mongodb of rocketchat-production
How bad           critical
Since             2024-11-30 14:17 UTC
Last good backup  20241130_021700 (2024-11-30 02:17 UTC)
Run               Backup, by octocat
At                2024-12-01 02:20 UTC

Run next:
  lifeboat mongodb-backup --component mongodb

https://github.com/o/r/actions/runs/4711
`);
});

test('email: the page says the same as the plain text, with nothing from elsewhere and every text escaped', () => {
  const html = htmlText(FAILED);
  expect(emailOf(FAILED, { from: 'a', to: ['b'] }).html).toBe(html);
  const bare = html.replace(/<[^>]+>/g, '\n').replace(/\n+/g, '\n');
  const text = bare.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&amp;', '&');
  for (const [label, value] of factsOf(FAILED)) expect(text).toContain(`\n${label}\n${value}\n`);
  for (const part of [...FAILED.text.split('\n'), FAILED.next ?? '']) expect(text).toContain(`\n${part}\n`);
  expect(html).toContain('href="https://github.com/o/r/actions/runs/4711"');
  expect(html).not.toMatch(/<admin>|<script|<img|src=|url\(/);
  expect(htmlText(SUCCEEDED)).not.toContain('How bad');
});
