// Folders of SFTP servers as a kind of store.
import { UsageError } from '../../step/errors.ts';
import { expandHome } from '../../step/home-path.ts';
import { queryOf, waiting, withoutQuery, type StoreKind } from '../kind.ts';
import type { schema, SftpStoreConfig } from './schema.ts';

export const sftp: StoreKind<typeof schema> = {
  schema: async () => (await import('./schema.ts')).schema,
  address: 'sftp://<user>@<host>/<path>?fingerprint=SHA256:…',
  schemes: ['sftp'],
  parse: (address) => parseSftpAddress(new URL(address)),
  open: async (config, options) =>
    (await import('./index.ts')).openSftpStore(config, { ...waiting(options), mustExist: options.mustExist }),
};

/** `sftp://<user>@<host>:<port>/<path>?fingerprint=SHA256:…&keyFile=`; `/~/` starts a path in the user's home. */
function parseSftpAddress(url: URL): SftpStoreConfig {
  if (url.password !== '') {
    throw new UsageError('The address of the SFTP server has a password in it, which would end up in logs.', {
      fix: 'Sign in with a key (keyFile=…) or the SSH agent, or name the password in dr.yml as ${env:SFTP_PASSWORD}.',
    });
  }
  const { fingerprint, keyFile } = queryOf(url, ['fingerprint', 'keyFile']);
  const path = decodeURIComponent(url.pathname).replace(/^\/~\/?/, '');
  if (url.hostname === '' || url.username === '' || path === '/') {
    throw new UsageError(`"${withoutQuery(url.href)}" is not the address of a folder of an SFTP server.`, {
      fix: 'Use sftp://<user>@<host>/<path>?fingerprint=SHA256:…',
    });
  }
  if (fingerprint === undefined) {
    throw new UsageError(`The address of the SFTP server ${url.host} lacks the fingerprint of its host key.`, {
      fix: `Add ?fingerprint=SHA256:…, as this shows it: ssh-keyscan -p ${url.port || '22'} ${url.hostname} | ssh-keygen -lf -`,
    });
  }
  return {
    kind: 'sftp',
    host: url.hostname,
    ...(url.port === '' ? {} : { port: Number(url.port) }),
    user: decodeURIComponent(url.username),
    path: path === '' ? '.' : path,
    // Base64 has a plus, which a query takes for a space.
    fingerprint: fingerprint.replaceAll(' ', '+'),
    ...(keyFile === undefined ? {} : { keyFile: expandHome(keyFile) }),
  };
}
