// Finds secrets that were written into dr.yml: the file is committed, so a secret in it is lost the moment it is pushed.

interface Pattern {
  what: string;
  pattern: RegExp;
  fix: string;
}

const ENV_FIX = 'Keep it in a secret of the CI system and write';

/** Each pattern leaves references (`${…}`) alone. */
const PATTERNS: readonly Pattern[] = [
  {
    what: 'a password in an address',
    pattern: /[a-z][a-z0-9+.-]*:\/\/[^\s/?#@:]*:(?!\$\{[^}]*\}@)[^\s/@]+@/i,
    fix: `${ENV_FIX} \${env:MONGODB_URI}, or only the password as \${env:MONGODB_PASSWORD}`,
  },
  {
    what: 'a password in an address',
    pattern: /[?&](?:tlsCertificateKeyFilePassword|sslPEMKeyPassword|proxyPassword)=(?!\$\{)[^\s&]/i,
    fix: `${ENV_FIX} \${env:NAME}`,
  },
  { what: 'a shared access signature', pattern: /(?:^|[?&\s"'])sig=(?!\$\{)[^\s&]{8,}/i, fix: `${ENV_FIX} \${env:STORE_SAS}` },
  { what: 'an account key', pattern: /(?:AccountKey|SharedAccessKey)=(?!\$\{)[^\s;]{8,}/i, fix: `${ENV_FIX} \${env:NAME}` },
  {
    what: "a webhook's token",
    pattern:
      /https?:\/\/(?:hooks\.slack\.com\/(?:services|workflows)\/(?!\$\{)\S{8,}|[\w.-]+\.webhook\.office\.com\/webhookb2\/(?!\$\{)\S{8,}|discord(?:app)?\.com\/api\/webhooks\/(?!\$\{)\S{8,}|[^\s/]+\/hooks\/(?!\$\{)[A-Za-z0-9]{8,}\/(?!\$\{)\S{8,})/i,
    fix: `${ENV_FIX} \${env:TEAMS_WEBHOOK}`,
  },
  {
    what: 'an access token',
    pattern: /\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|xox[abprs]-[\w-]{10,}|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]+)/,
    fix: `${ENV_FIX} \${env:NAME}`,
  },
  {
    what: 'a private key',
    pattern: /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----/,
    fix: 'Keep it off line or in a vault; dr.yml names only public keys',
  },
];

/** What secret a text holds and what to write instead; undefined when it looks harmless. Never quotes the text. */
export function literalSecret(text: string): string | undefined {
  const found = PATTERNS.find(({ pattern }) => pattern.test(text));
  return found && `holds ${found.what}: a secret must not stand in this file. ${found.fix}. Change the secret if the file was ever pushed`;
}
