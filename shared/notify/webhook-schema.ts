// The channel `webhook`, as dr.yml says it.
import { z } from 'zod';
import { components, literal, on, secretUrl } from './channel-fields.ts';

export const schema = z.strictObject({
  kind: literal('webhook', 'A JSON document, posted to any address.'),
  url: secretUrl('Address that is posted to.', 'NOTIFY_WEBHOOK'),
  secret: secretUrl('Signs each message: HMAC-SHA256 in the header x-lifeboat-signature.', 'NOTIFY_WEBHOOK_SECRET').optional(),
  on,
  components,
});
