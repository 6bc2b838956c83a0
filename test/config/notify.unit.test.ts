// `notify` in dr.yml: secrets only by reference, masked once they are resolved, shown as ***, and every slip named.
import { describe, expect, test } from '@jest/globals';
import { parseDr } from '../../shared/config/load.ts';
import { shownText, shownConfig } from '../../shared/config/show.ts';
import { ConfigError } from '../../shared/config/problem.ts';

const file = (...entries: string[]): string => `version: 1
name: shop
stores: { primary: { kind: folder, path: /mnt/backups } }
components: { mongodb: { kind: mongodb, source: { uri: "\${env:URI}" } } }
notify:
${entries.map((entry) => `  - ${entry}`).join('\n')}
`;

function problemsOf(...entries: string[]): string[] {
  try {
    parseDr(file(...entries), 'dr.yml');
  } catch (thrown) {
    if (thrown instanceof ConfigError) return thrown.problems.map(({ path, message }) => `${path}: ${message}`);
    throw thrown;
  }
  return [];
}

describe('what may stand there', () => {
  test.each([
    ['{ kind: teams, url: "${env:TEAMS_WEBHOOK}", on: [failed, partial, recovered] }'],
    ['{ kind: slack, url: "${env:SLACK}", components: [mongodb] }'],
    ['{ kind: rocketchat, url: "${env:HOOK}", on: [succeeded, alert] }'],
    ['{ kind: webhook, url: "${env:HOOK}", secret: "${env:SECRET}" }'],
    ['{ kind: heartbeat, url: "${env:BEAT}" }'],
    ['{ kind: email, url: "${env:SMTP}", from: a@example.org, to: [b@example.org] }'],
    ['{ kind: email, url: "smtp://relay.example.org:25", from: a@example.org, to: ["${env:TO}"] }'],
  ])('%s', (entry) => {
    expect(problemsOf(entry)).toEqual([]);
  });
});

describe('slips', () => {
  test.each([
    [
      '{ kind: slak, url: "${env:X}" }',
      'notify[0].kind: expected one of webhook, slack, teams, rocketchat, email, heartbeat, found "slak". Did you mean slack?',
    ],
    ['{ kind: slack, url: "https://chat.example.org/x" }', 'notify[0].url: expected a reference to a secret, such as ${env:SLACK_WEBHOOK}'],
    [
      '{ kind: slack }',
      "notify[0].url: is missing. The incoming webhook's address. It is a secret: always a reference. Example: url: ${env:SLACK_WEBHOOK}",
    ],
    [
      '{ kind: slack, url: "${env:X}", on: [faild] }',
      'notify[0].on[0]: expected one of succeeded, partial, failed, cancelled, refused, recovered, alert, found "faild". Did you mean failed?',
    ],
    [
      '{ kind: slack, url: "${env:X}", components: [mongo] }',
      'notify[0].components[0]: there is no component "mongo". Did you mean mongodb?',
    ],
    ['{ kind: heartbeat, url: "${env:X}", on: [failed] }', 'notify[0].on: unknown key. Known here: kind, url, components'],
    [
      '{ kind: email, url: "${env:X}", from: a, to: [b@x] }',
      'notify[0].from: expected an e-mail address, such as backups@example.org, found "a"',
    ],
  ])('%s', (entry, problem) => {
    expect(problemsOf(entry)).toEqual([problem]);
  });

  test('a webhook’s token is refused wherever it stands, and not repeated', () => {
    const [problem = ''] = problemsOf('{ kind: slack, url: "https://hooks.slack.com/services/T000/B000/abcdefgh" }');
    expect(problem).toContain("holds a webhook's token");
    expect(problem).not.toContain('abcdefgh');
  });
});

describe('in use', () => {
  const masked: string[] = [];
  const config = parseDr(
    file(
      '{ kind: webhook, url: "${env:HOOK}", secret: "${env:SECRET}" }',
      '{ kind: email, url: "${env:SMTP}", from: a@x.org, to: ["${env:TO}"] }',
    ),
    'dr.yml',
    { env: { HOOK: 'https://x/hooks/1', SECRET: 's3cret', SMTP: 'smtp://u:pw@h', TO: 'b@x.org' }, mask: (secret) => masked.push(secret) },
  );

  test('addresses are resolved and masked; recipients are resolved', async () => {
    expect(await config.channel(0)).toMatchObject({ kind: 'webhook', url: 'https://x/hooks/1', secret: 's3cret' });
    expect(await config.channel(1)).toMatchObject({ kind: 'email', url: 'smtp://u:pw@h', to: ['b@x.org'] });
    expect([...new Set(masked)]).toEqual(['https://x/hooks/1', 's3cret', 'smtp://u:pw@h']);
  });

  test('config show hides them', () => {
    const shown = shownText(shownConfig(config, new Date()));
    expect(shown).toContain('url: "*** (from ${env:HOOK})"');
    expect(shown).toContain('secret: "*** (from ${env:SECRET})"');
  });
});
