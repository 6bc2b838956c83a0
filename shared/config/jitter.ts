// A minute of the hour that stays the same for a name and differs between names: schedules off the full hour, spread over all users.
import { createHash } from 'node:crypto';

/** Around :00 and :30 GitHub delays runs by up to hours, or drops them. */
const KEPT_FREE = 4;

/** A minute for a cron expression, from the name of what is protected: never within four minutes of a full or half hour. */
export function stableMinute(name: string): number {
  const free = Array.from({ length: 60 }, (_, minute) => minute).filter((minute) => {
    const away = minute % 30;
    return away > KEPT_FREE && away < 30 - KEPT_FREE;
  });
  return free[createHash('sha256').update(name).digest().readUInt32BE(0) % free.length] as number;
}
