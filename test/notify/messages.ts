// Messages that tests send.
import type { Message } from '../../shared/notify/message.ts';
import { parseTimestamp, timestampToDate, type Timestamp } from '../../shared/step/timestamp.ts';

const GOOD = parseTimestamp('20241130_021700') as Timestamp;

/** A failed backup, with everything a message can hold and letters that services treat as markup. */
export const FAILED: Message = {
  event: 'failed',
  severity: 'critical',
  title: 'mongodb-backup of rocketchat-production/mongodb failed',
  text: 'mongodump ended with 1: (Unauthorized) not authorized on <admin> & @all [x](y) *z*.\nCheck the role "backup".',
  name: 'rocketchat-production',
  component: 'mongodb',
  step: 'mongodb-backup',
  at: new Date('2024-12-01T02:20:00Z'),
  since: new Date('2024-11-30T14:17:00Z'),
  lastGoodBackup: { timestamp: GOOD, time: timestampToDate(GOOD) },
  next: 'lifeboat mongodb-backup --component mongodb',
  run: { id: '4711', url: 'https://github.com/o/r/actions/runs/4711', actor: 'octocat', workflow: 'Backup' },
};

/** A success, with as little as possible. */
export const SUCCEEDED: Message = {
  event: 'succeeded',
  severity: 'info',
  title: 'mongodb-backup of shop/mongodb succeeded',
  text: '',
  name: 'shop',
  at: new Date('2024-12-01T02:20:00Z'),
  run: { id: '4712' },
};
