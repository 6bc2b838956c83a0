// Asks the real restic what `forget` would keep: forges a repository of snapshots at any times and runs the program on it.
// Format: restic's doc/design.rst. Making each snapshot with `restic backup --time` would take half a second; this takes microseconds.
import { createCipheriv, createHash, randomBytes, scryptSync } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RetentionRules } from '../../shared/catalog/retention.ts';
import { formatPeriod, type Period } from '../../shared/step/period.ts';
import { runProgram, tempFolder } from '../backends/support.ts';

const PASSWORD = 'oracle';

/** One snapshot: `time` as its own clock wrote it. */
export interface OracleMoment {
  time: Date;
  offsetMinutes: number;
}

/** What restic keeps of one history: instant in milliseconds → its reasons. */
export type Kept = Map<number, string[]>;

interface Key {
  encrypt: Buffer;
  k: Buffer;
  r: Buffer;
}

function keyOf(bytes: Buffer): Key {
  return { encrypt: bytes.subarray(0, 32), k: bytes.subarray(32, 48), r: bytes.subarray(48, 64) };
}

/** IV, AES-256-CTR, Poly1305-AES tag. */
function seal({ encrypt, k, r }: Key, plain: Buffer): Buffer {
  const iv = randomBytes(16);
  const cipher = createCipheriv('aes-256-ctr', encrypt, iv);
  const ciphertext = Buffer.concat([cipher.update(plain), cipher.final()]);
  const block = createCipheriv('aes-128-ecb', k, null);
  return Buffer.concat([iv, ciphertext, poly1305(ciphertext, r, block.update(iv))]);
}

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString('hex') || '0'}`);
}

/** Bernstein's Poly1305 with the pad given (RFC 8439, section 2.5). */
function poly1305(message: Buffer, r: Buffer, pad: Buffer): Buffer {
  const prime = (1n << 130n) - 5n;
  const clamped = littleEndian(r) & 0x0ffffffc0ffffffc0ffffffc0fffffffn;
  let sum = 0n;
  for (let at = 0; at < message.length; at += 16) {
    sum = ((sum + littleEndian(Buffer.concat([message.subarray(at, at + 16), Buffer.from([1])]))) * clamped) % prime;
  }
  const tag = (sum + littleEndian(pad)) & ((1n << 128n) - 1n);
  return Buffer.from(tag.toString(16).padStart(32, '0'), 'hex').reverse();
}

/** `2024-03-31T02:30:00+05:30` */
function goTime({ time, offsetMinutes }: OracleMoment): string {
  const local = new Date(time.getTime() + offsetMinutes * 60_000).toISOString().slice(0, 23);
  const minutes = Math.abs(offsetMinutes);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${local}${offsetMinutes < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

/** restic's own spelling of a period: `m` is a month there, and there are no minutes. */
function resticPeriod({ years, months, days, milliseconds }: Period): string {
  const hours = milliseconds / 3_600_000;
  if (!Number.isInteger(hours)) throw new Error(`restic knows no minutes: ${formatPeriod({ years, months, days, milliseconds })}`);
  return `${years}y${months}m${days}d${hours}h`;
}

/** The options of `restic forget` that say these rules. */
export function resticOptions(rules: RetentionRules): string[] {
  return Object.entries(rules).flatMap(([name, rule]: [string, number | 'unlimited' | Period | undefined]) => {
    if (rule === undefined) return [];
    const option = `--keep-${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    return [option, typeof rule === 'object' ? resticPeriod(rule) : String(rule)];
  });
}

interface ForgetGroup {
  host: string;
  keep: { time: string }[] | null;
  reasons: { snapshot: { time: string }; matches: string[] }[] | null;
}

/**
 * restic's judgement of each history by each of the rules. The histories are hosts of one repository, so one call judges them all.
 * @returns per rules, per history
 */
export async function resticKeeps(
  program: string,
  histories: readonly OracleMoment[][],
  policies: readonly RetentionRules[],
): Promise<Kept[][]> {
  const repository = emptyFolder();
  try {
    forge(repository, histories);
    const kept: Kept[][] = [];
    for (const rules of policies) kept.push(await judged(program, repository, histories.length, rules));
    return kept;
  } finally {
    rmSync(repository, { recursive: true, force: true });
  }
}

/** In memory where there is such a place: a repository is thousands of tiny files. */
function emptyFolder(): string {
  return existsSync('/dev/shm') ? mkdtempSync('/dev/shm/lifeboat-restic-') : tempFolder('restic');
}

async function judged(program: string, repository: string, histories: number, rules: RetentionRules): Promise<Kept[]> {
  const out = await runProgram(
    program,
    ['forget', '-r', repository, '--no-cache', '--no-lock', '--dry-run', '--json', ...resticOptions(rules)],
    { env: { RESTIC_PASSWORD: PASSWORD } },
  );
  const kept = Array.from({ length: histories }, (): Kept => new Map<number, string[]>());
  for (const { host, reasons } of JSON.parse(out) as ForgetGroup[]) {
    for (const { snapshot, matches } of reasons ?? []) kept[Number(host.slice(1))]?.set(Date.parse(snapshot.time), matches);
  }
  return kept;
}

function forge(repository: string, histories: readonly OracleMoment[][]): void {
  for (const folder of ['keys', 'snapshots', 'data', 'index', 'locks']) mkdirSync(join(repository, folder));
  const master = randomBytes(64);
  const masterKey = keyOf(master);
  const named = (folder: string, bytes: Buffer): void => {
    writeFileSync(join(repository, folder, createHash('sha256').update(bytes).digest('hex')), bytes);
  };
  const salt = randomBytes(64);
  const sealedMaster = seal(
    keyOf(scryptSync(PASSWORD, salt, 64, { N: 2, r: 8, p: 1 })),
    json({
      mac: { k: masterKey.k.toString('base64'), r: masterKey.r.toString('base64') },
      encrypt: masterKey.encrypt.toString('base64'),
    }),
  );
  named(
    'keys',
    json({
      ...{ created: '2024-01-01T00:00:00Z', username: 'u', hostname: 'h', kdf: 'scrypt', N: 2, r: 8, p: 1 },
      ...{ salt: salt.toString('base64'), data: sealedMaster.toString('base64') },
    }),
  );
  const id = randomBytes(32).toString('hex');
  writeFileSync(join(repository, 'config'), seal(masterKey, json({ version: 2, id, chunker_polynomial: '25b468838dcb75' })));
  for (const [number, history] of histories.entries()) {
    for (const moment of history) {
      const snapshot = { time: goTime(moment), tree: id, paths: ['/'], hostname: `h${number}`, username: 'u' };
      named('snapshots', seal(masterKey, json(snapshot)));
    }
  }
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
