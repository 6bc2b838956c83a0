// Understands what mongodump and mongorestore print on standard error, in the wordings of all their versions.
import { UserError } from '../step/errors.ts';
import type { ToolProgram } from './tool-program.ts';

/** One line of a tool, as far as we care. */
export type ToolLine =
  | { kind: 'dumped'; namespace: string; documents: number }
  | { kind: 'restored'; namespace: string; documents: number; failures: number }
  | { kind: 'progress'; namespace: string; done: number; total: number | undefined }
  | { kind: 'summary'; documents: number; failures: number }
  | { kind: 'missing'; text: string }
  | { kind: 'failed'; text: string }
  | { kind: 'other'; text: string };

// Names stand in backticks since mongo-tools 100.16.0, without before.
const DUMPED = /^done dumping `?(.+?)`? \((\d+) documents?\)/;
const RESTORED = /^finished restoring `?(.+?)`? \((\d+) documents?, (\d+) failures?\)/;
const SUMMARY = /^(\d+) document\(s\) restored successfully\. (\d+) document\(s\) failed to restore/;
const PROGRESS = /^\[[#.]+\]\s+`?(\S+?)`?\s+(\d+)(?:\/(\d+))?/;
const MISSING = /namespace with DB .* does not exist/i;
const FAILED = /^Failed: (.*)$/;

/** Reads one line; the time stamp in front is taken off. */
export function parseToolLine(line: string): ToolLine {
  const text = line.replace(/^\d{4}-\d\d-\d\dT[\d:.]+(?:[+-]\d{4}|Z)?\t/, '').trim();
  const dumped = DUMPED.exec(text);
  if (dumped) return { kind: 'dumped', namespace: dumped[1] as string, documents: Number(dumped[2]) };
  const restored = RESTORED.exec(text);
  if (restored)
    return { kind: 'restored', namespace: restored[1] as string, documents: Number(restored[2]), failures: Number(restored[3]) };
  const summary = SUMMARY.exec(text);
  if (summary) return { kind: 'summary', documents: Number(summary[1]), failures: Number(summary[2]) };
  const progress = PROGRESS.exec(text);
  if (progress) {
    const total = progress[3] === undefined ? undefined : Number(progress[3]);
    return { kind: 'progress', namespace: progress[1] as string, done: Number(progress[2]), total };
  }
  if (MISSING.test(text)) return { kind: 'missing', text };
  const failed = FAILED.exec(text);
  return failed ? { kind: 'failed', text: failed[1] as string } : { kind: 'other', text };
}

/** A line of mongorestore about a document that the server did not take. */
export function isRefusal(line: string): boolean {
  return /error|duplicate|E11000/i.test(line);
}

/** Known causes in the tools' words, and what to do about each. */
const FIXES: [pattern: RegExp, fix: string][] = [
  [/auth(entication)? (error|failed)|unable to authenticate|SCRAM/i, 'Check user, password and authSource in the connection string.'],
  [/not authorized|Unauthorized|requires authentication/i, 'Give the user the role "backup" for backups and "restore" for restores.'],
  [/oplog overflow/i, 'The oplog is too small for the time the dump takes: enlarge it, or dump at a quieter time.'],
  [/error getting (oplog start|recent oplog entry)|oplog.*mongos/i, 'Only a replica set has an oplog; dump without it.'],
  [/certificate|x509|tls:|handshake/i, "Trust the server's certificate authority with tlsCAFile=<file> in the connection string."],
  [/no such host|lookup .* on/i, 'Check the host name in the connection string and the DNS of this machine.'],
  [
    /connection refused|server selection (error|timeout)|could not connect|no reachable servers/i,
    'Check that the server is up and reachable from here.',
  ],
  [
    /not ?(writable ?)?primary|not master/i,
    'That server is a secondary, which takes no writes: name the pod of the primary, or set replicaSet=<name> in the connection string.',
  ],
  [
    /error creating (collection|view)|is not a valid option|unknown (option|field)/i,
    'Set engine to driver: the built-in engine leaves out just those options of a collection that the target refuses, and says so.',
  ],
  [/no space left/i, 'Free space on the disk of the server.'],
  [
    /does not appear to be a mongodump archive|CRC mismatch|archive finished before|archive io error/i,
    'The archive is damaged or cut: use another backup.',
  ],
];

/** The failure of a tool as a person should read it: its own last words, and a fix where the cause is known. */
export function toolFailure(program: Pick<ToolProgram, 'label' | 'fix'>, how: string, words = '', code: number | null = null): UserError {
  const fix = program.fix?.(words, code) ?? FIXES.find(([pattern]) => pattern.test(words))?.[1];
  const said = words === '' ? 'it printed nothing' : words.replace(/\.$/, '');
  return new UserError(`${program.label} ${how}: ${said}.`, fix === undefined ? {} : { fix });
}
