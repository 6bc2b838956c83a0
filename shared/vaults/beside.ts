// Keys that lie where the backups lie: a copy of the one is a copy of the other, and encryption then protects nothing.
import { realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * True when one of two folders is the other one or lies in it, also by symbolic links, bind mounts or another spelling. A folder that is not
 * there yet counts as a part of the nearest one above it that is.
 */
export async function liesWithin(one: string, other: string): Promise<boolean> {
  const [first, second] = [await chainOf(one), await chainOf(other)];
  return second.includes(first[0] as string) || first.includes(second[0] as string);
}

/** The folder and every one above it, each by what tells it from all others: device and number, or its path while it is not there. */
async function chainOf(folder: string): Promise<string[]> {
  const path = await realpath(folder).catch(() => undefined);
  const above = dirname(path ?? folder);
  const here = path === undefined ? `not there: ${folder}` : await idOf(path);
  return above === (path ?? folder) ? [here] : [here, ...(await chainOf(above))];
}

async function idOf(path: string): Promise<string> {
  const { dev, ino } = await stat(path, { bigint: true });
  return `${dev}:${ino}`;
}
