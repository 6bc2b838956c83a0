// The channel `slack`, as dr.yml says it.
import { chat } from './channel-fields.ts';

export const schema = chat('slack', 'A Slack channel, through an incoming webhook.', "The incoming webhook's address.", 'SLACK_WEBHOOK');
