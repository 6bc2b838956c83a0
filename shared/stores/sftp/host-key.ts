// The key of an SFTP server: known by its fingerprint, of whatever type it is. A server has one key per type, and shows only one of them.
import { createHash } from 'node:crypto';

/** Algorithms per type of key, in the order in which they are asked for. */
const TYPES: Record<string, readonly string[]> = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa'],
  'ssh-dss': ['ssh-dss'],
};

/** Finds, over several connections, the type of key that has the fingerprint. */
export class HostKeys {
  readonly #fingerprint: string;
  /** Type → fingerprint, of those the server has shown. */
  readonly #seen = new Map<string, string>();
  #right: string | undefined;
  #changed = false;

  constructor(fingerprint: string) {
    this.#fingerprint = fingerprint;
  }

  /** Algorithms for the next connection: of the right type once it is known, else of those that the server has not shown yet. */
  get algorithms(): string[] {
    const types = this.#right === undefined ? Object.keys(TYPES).filter((type) => !this.#seen.has(type)) : [this.#right];
    return types.flatMap((type) => TYPES[type] ?? []);
  }

  /** Looks at the key that a server shows. True when it is the one. */
  accepts(key: Buffer): boolean {
    const type = key.subarray(4, 4 + key.readUInt32BE(0)).toString('latin1');
    const fingerprint = `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
    this.#seen.set(type, fingerprint);
    if (fingerprint !== this.#fingerprint) {
      // A key that was right on an earlier connection and is not any more must be told, not looked for among other types.
      if (this.#right === type) this.#changed = true;
      return false;
    }
    this.#right = type;
    return true;
  }

  /** Types that the server has shown. */
  get count(): number {
    return this.#seen.size;
  }

  /** True when the key was refused and another type is worth a try. */
  get mayHaveAnother(): boolean {
    return !this.#changed && this.#right === undefined && this.#seen.size > 0 && this.algorithms.length > 0;
  }

  /** True when a key was shown and none of them was the one. */
  get refused(): boolean {
    return this.#seen.size > 0 && (this.#right === undefined || this.#changed);
  }

  /** `SHA256:… (ssh-ed25519) and SHA256:… (ssh-rsa)`: what the server has. */
  get shown(): string {
    return [...this.#seen].map(([type, fingerprint]) => `${fingerprint} (${type})`).join(' and ');
  }
}
