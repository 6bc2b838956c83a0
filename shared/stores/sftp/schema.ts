// A folder of an SFTP server, as dr.yml says it.
import { z } from 'zod';
import { about, integer, path, remotePath, secretReference, text } from '../../schema/fields.ts';

export const schema = z.strictObject({
  kind: about(z.literal('sftp'), { description: 'A folder of an SFTP server, such as OpenSSH.', example: 'sftp' }),
  host: text(
    { description: 'Name or address of the server.', example: 'backup.example.org' },
    { pattern: String.raw`[A-Za-z0-9.:-]+`, expected: 'expected the name or address of a server' },
  ),
  port: integer({ min: 1, max: 65_535 }, { description: 'Port of the server. Default: 22.', example: 2222 }).optional(),
  user: text(
    { description: 'Name to sign in with.', example: 'lifeboat' },
    { pattern: String.raw`[^\s:@/]+`, expected: "expected a user's name" },
  ),
  path: remotePath(
    { description: "Folder on the server; a relative one starts in the user's home.", example: '/srv/backups' },
    'expected the path of a folder, such as /srv/backups',
  ),
  fingerprint: text(
    {
      description: "Fingerprint of the server's host key, as `ssh-keyscan <host> | ssh-keygen -lf -` shows it.",
      example: 'SHA256:AbCdEfGhIjKlMnOpQrStUvWxYz0123456789+/AbCdE',
    },
    { pattern: 'SHA256:[A-Za-z0-9+/]{43}', expected: 'expected a fingerprint such as SHA256: and 43 characters' },
  ),
  keyFile: path(
    {
      description: "Private key file; a relative path starts at dr.yml's own folder. Default: the SSH agent (SSH_AUTH_SOCK).",
      example: '~/.ssh/id_ed25519',
    },
    'expected the path of a private key file, such as ~/.ssh/id_ed25519',
  ).optional(),
  privateKey: secretReference('Text of the private key, instead of a file. Always a reference.', '${env:SFTP_PRIVATE_KEY}').optional(),
  passphrase: secretReference('Passphrase of the private key. Always a reference.', '${env:SFTP_PASSPHRASE}').optional(),
  password: secretReference('Password, where a key is not possible. Always a reference.', '${env:SFTP_PASSWORD}').optional(),
});

/** `dr.yml`: `{ kind: sftp, host: backup.example.org, … }`, references resolved. */
export type SftpStoreConfig = z.infer<typeof schema>;
