// Keys of dr.yml that several kinds of channel have.
import { z } from 'zod';
import { about, choice, plainText, secretReference } from '../schema/fields.ts';
import { DEFAULT_EVENTS, NOTIFY_EVENTS } from './events.ts';

export const on = about(
  z
    .array(
      choice(NOTIFY_EVENTS, {
        description:
          'succeeded, partial, failed, cancelled, refused: how a run ended. recovered: a success after a failure. ' +
          'alert: the status turned bad without any run, such as a backup that is missing.',
        example: 'failed',
      }),
      { error: 'expected a list, such as [failed, partial, recovered]' },
    )
    .min(1, { error: 'expected at least one of ' + NOTIFY_EVENTS.join(', ') }),
  { description: `What this channel is told. Default: ${DEFAULT_EVENTS.join(', ')}.`, example: ['failed', 'partial', 'recovered'] },
).optional();

export const components = about(
  z
    .array(
      plainText(
        { description: 'A component, by name.', example: 'mongodb' },
        { expected: 'expected the name of a component, such as mongodb' },
      ),
      { error: 'expected a list, such as [mongodb]' },
    )
    .min(1, { error: 'expected at least one component, such as [mongodb]' }),
  { description: 'Only runs about these components; all when absent.', example: ['mongodb'] },
).optional();

/** Anyone who knows such an address can post to it: it is a secret. */
export const secretUrl = (description: string, name: string) =>
  secretReference(`${description} It is a secret: always a reference.`, `\${env:${name}}`);

export const literal = <const K extends string>(kind: K, description: string) => about(z.literal(kind), { description, example: kind });

/** A chat that takes messages at an address of its own. */
export const chat = <const K extends string>(kind: K, description: string, url: string, name: string) =>
  z.strictObject({ kind: literal(kind, description), url: secretUrl(url, name), on, components });
