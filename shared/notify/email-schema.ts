// The channel `email`, as dr.yml says it.
import { z } from 'zod';
import { about, secret, text } from '../schema/fields.ts';
import { components, literal, on } from './channel-fields.ts';

const ADDRESS = String.raw`[^\s<>,;@]+@[^\s<>,;@]+`;

export const schema = z.strictObject({
  kind: literal('email', 'An e-mail, through an SMTP server.'),
  url: secret(
    text(
      {
        description:
          'SMTP server: smtp://user:password@host:587 (STARTTLS, required as soon as there is a password) or smtps://…:465. With a password, a reference.',
        example: '${env:SMTP_URL}',
      },
      { pattern: String.raw`smtps?://[^\s@/]+(?::\d+)?/?`, expected: 'expected ${env:SMTP_URL} or smtp://host:port' },
    ),
  ),
  from: text(
    { description: 'Sender.', example: 'backups@example.org' },
    { pattern: ADDRESS, expected: 'expected an e-mail address, such as backups@example.org' },
  ),
  to: about(
    z
      .array(
        text(
          { description: 'A recipient.', example: 'oncall@example.org' },
          { pattern: ADDRESS, expected: 'expected an e-mail address, such as oncall@example.org' },
        ),
        { error: 'expected a list, such as [oncall@example.org]' },
      )
      .min(1, { error: 'expected at least one recipient, such as [oncall@example.org]' }),
    { description: 'Recipients.', example: ['oncall@example.org'] },
  ),
  on,
  components,
});
