// The channel `heartbeat`, as dr.yml says it.
import { z } from 'zod';
import { components, literal, secretUrl } from './channel-fields.ts';

export const schema = z.strictObject({
  kind: literal(
    'heartbeat',
    "A dead man's switch in the style of healthchecks.io: it hears of the start and the end of each backup, and raises the alarm when they stay away.",
  ),
  url: secretUrl('Ping address of the check.', 'HEARTBEAT_URL'),
  components,
});
