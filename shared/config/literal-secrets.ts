// Finds secrets that were written into dr.yml: the file is committed, so a secret in it is lost the moment it is pushed.

interface Pattern {
  what: string;
  pattern: RegExp;
  fix: string;
}

const ENV_FIX = 'Keep it in a secret of the CI system and write';

/** Stands for a reference while a text is searched: no pattern takes it for the start of a secret. */
const REFERENCE = '\u0001';

const PATTERNS: readonly Pattern[] = [
  {
    what: 'a password in an address',
    pattern: /[a-z][a-z0-9+.-]*:\/\/[^\s/?#@:]*:(?!\u0001+@)[^\s/@]+@/i,
    fix: `${ENV_FIX} \${env:NAME}, or only the password as \${env:PASSWORD}`,
  },
  {
    what: 'a password in an address',
    pattern: /[?&](?:tlsCertificateKeyFilePassword|sslPEMKeyPassword|proxyPassword)=(?!\u0001)[^\s&]/i,
    fix: `${ENV_FIX} \${env:NAME}`,
  },
  {
    what: 'a password in an address',
    pattern: /[?&](?:password|passphrase|privateKey|secretAccessKey)=(?!\u0001)[^\s&]/i,
    fix: `${ENV_FIX} \${env:NAME}`,
  },
  { what: 'a shared access signature', pattern: /(?:^|[?&\s"'])sig=(?!\u0001)[^\s&]{8,}/i, fix: `${ENV_FIX} \${env:STORE_SAS}` },
  { what: 'an account key', pattern: /(?:AccountKey|SharedAccessKey)=(?!\u0001)[^\s;]{8,}/i, fix: `${ENV_FIX} \${env:NAME}` },
  {
    what: "a webhook's token",
    pattern:
      /https?:\/\/(?:hooks\.slack\.com\/(?:services|workflows)\/(?!\u0001)\S{8,}|[\w.-]+\.webhook\.office\.com\/webhookb2\/(?!\u0001)\S{8,}|discord(?:app)?\.com\/api\/webhooks\/(?!\u0001)\S{8,}|[^\s/]+\/hooks\/(?!\u0001)[A-Za-z0-9]{8,}\/(?!\u0001)\S{8,})/i,
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

/** What secret a text holds, in a few words; undefined when it looks harmless. */
export function secretIn(text: string): string | undefined {
  return patternIn(text)?.what;
}

/** What secret a text holds and what to write instead; undefined when it looks harmless. Never quotes the text. */
export function literalSecret(text: string): string | undefined {
  const found = patternIn(text);
  return found && `holds ${found.what}: a secret must not be in this file. ${found.fix}. Change the secret if the file was ever pushed`;
}

function patternIn(text: string): Pattern | undefined {
  const searched = text.replace(/\$\{(?:env|vault):[^}]*\}/g, REFERENCE);
  return PATTERNS.find(({ pattern }) => pattern.test(searched));
}
