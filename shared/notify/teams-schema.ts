// The channel `teams`, as dr.yml says it.
import { chat } from './channel-fields.ts';

export const schema = chat(
  'teams',
  'A Teams channel, through a workflow ("When a Teams webhook request is received").',
  "The workflow's address.",
  'TEAMS_WEBHOOK',
);
