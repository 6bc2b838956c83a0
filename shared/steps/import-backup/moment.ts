// When an old backup was made, as the name of its file says.
import { basename } from 'node:path';
import { parseTimestamp, type Timestamp } from '../../step/timestamp.ts';

/** `mongodb_20241201_120000.tar.gz`, `backup-2024-12-01T12-00-00.gz`, `dump-2024-12-01_1200.archive`. */
const IN_NAME = /(?<!\d)(\d{4})-?(\d{2})-?(\d{2})[T_.-]?(\d{2})[-:.]?(\d{2})(?:[-:.]?(\d{2}))?Z?(?!\d)/;

/**
 * The moment in a file's name, read as UTC; undefined when there is none.
 * Scripts of old write `date +%Y%m%d_%H%M%S` of machines that run in UTC.
 */
export function timestampInName(path: string): Timestamp | undefined {
  const match = IN_NAME.exec(basename(path));
  if (!match) return undefined;
  const [year, month, day, hour, minute, second = '00'] = match.slice(1);
  return parseTimestamp(`${year ?? ''}${month ?? ''}${day ?? ''}_${hour ?? ''}${minute ?? ''}${second}`);
}
