// The private key for an SFTP server: looked at before anything is sent, mended where its line ends were lost on the way through a variable.
import { readFile } from 'node:fs/promises';
import { StoreError } from '../errors.ts';
import { fileReason } from '../../tools/file-errors.ts';
import { expandHome } from '../../step/home-path.ts';

const BASE64_LINE = 70;

export interface SftpKey {
  keyFile?: string | undefined;
  privateKey?: string | undefined;
  passphrase?: string | undefined;
}

/**
 * The text of the key that is set, in a form that opens; undefined when none is set.
 * @throws StoreError about the key, at once: no waiting makes it readable
 */
export async function readSftpKey({ keyFile, privateKey, passphrase }: SftpKey): Promise<string | undefined> {
  if (privateKey === undefined && keyFile === undefined) return undefined;
  const what = privateKey === undefined ? `The private key file ${keyFile ?? ''}` : 'The private key in privateKey';
  const text = withLines(privateKey ?? (await readKeyFile(keyFile as string)));
  const loaded: typeof import('ssh2') & { default?: typeof import('ssh2') } = await import('ssh2');
  const { utils } = loaded.default ?? loaded;
  const parsed: unknown = utils.parseKey(text, passphrase);
  const problem = problemOf(parsed);
  if (problem === undefined) return text;
  const [reason, fix] = explain(problem, text, passphrase !== undefined);
  // The cause stays out: a parser's message may quote the key.
  throw new StoreError(`${what} cannot be used: ${reason}.`, { fix });
}

/** Told by shape: the library's errors may come from another realm. */
function problemOf(parsed: unknown): string | undefined {
  const [key] = [parsed].flat() as { message?: unknown; isPrivateKey?: () => boolean }[];
  if (typeof key?.message === 'string') return key.message;
  return key?.isPrivateKey?.() === true ? undefined : 'No private key available';
}

function explain(problem: string, text: string, hasPassphrase: boolean): [reason: string, fix: string] {
  if (/no passphrase given/i.test(problem)) {
    return ['it is encrypted, and no passphrase is set', 'Set passphrase in dr.yml as ${env:SFTP_PASSPHRASE}.'];
  }
  if (hasPassphrase && /integrity check|bad passphrase|decrypt|malformed/i.test(problem)) {
    return ['its passphrase is wrong, or it is damaged', 'Correct the secret behind passphrase; ssh-keygen -y -f <file> tries it.'];
  }
  if (/^\s*(?:ssh-|ecdsa-|sk-)\S+ AAAA/.test(text) || /No private key available/.test(problem)) {
    return ['it is a public key', 'Give the private half: the file without .pub.'];
  }
  if (/-----BEGIN PRIVATE KEY-----/.test(text)) {
    return [
      'it is in the format PKCS#8, which SSH does not use',
      'Make one with ssh-keygen -t ed25519, and put its public half into authorized_keys.',
    ];
  }
  if (/-----BEGIN /.test(text)) {
    return [
      'it is damaged: a part of it is missing or was changed',
      'Store the file as it is, with its line breaks: gh secret set SFTP_PRIVATE_KEY < id_ed25519, or name it as keyFile.',
    ];
  }
  return ['it is no private key', 'Give the text of a file that ssh-keygen made, which begins with -----BEGIN OPENSSH PRIVATE KEY-----.'];
}

/**
 * A key whose line breaks became `\n` in two characters, blanks or nothing: base64 has neither, so that they can be put back. A key with
 * headers of its own (an old encrypted PEM) is left alone: there a blank may be a blank.
 */
function withLines(text: string): string {
  const lines = text.replace(/\r\n?/g, '\n').replaceAll('\\r\\n', '\n').replaceAll('\\n', '\n').trim();
  const [, begin, body = '', end] = /^(-----BEGIN [A-Z0-9 ]+-----)([\s\S]*?)(-----END [A-Z0-9 ]+-----)$/.exec(lines) ?? [];
  if (begin === undefined || end === undefined || !/^[A-Za-z0-9+/=\s]+$/.test(body)) return `${lines}\n`;
  const base64 = body.replace(/\s+/g, '').match(new RegExp(`.{1,${BASE64_LINE}}`, 'g')) ?? [];
  return [begin, ...base64, end, ''].join('\n');
}

async function readKeyFile(file: string): Promise<string> {
  try {
    return await readFile(expandHome(file), 'utf8');
  } catch (cause) {
    const { reason } = fileReason(cause) ?? { reason: String(cause) };
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new StoreError(`The private key file ${file} cannot be read: ${missing ? 'it is not there' : reason}.`, {
      cause,
      fix: 'Check the path and its permissions.',
    });
  }
}
