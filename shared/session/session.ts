// What one run keeps: dr.yml is read once, the sign-in made once, every store and vault opened once, and each secret known on the way.
import type { TokenCredential } from '@azure/core-auth';
import type { DrConfig, DrSources } from '../config/dr-config.ts';
import { absentDr, componentSource, DEFAULT_FILE, findDrFile } from '../config/source.ts';
import { problemLine } from '../config/problem.ts';
import { KINDS, type Kinds } from '../kinds/registry.ts';
import type { StepContext } from '../step/define.ts';
import type { Host } from '../step/host.ts';
import { Secret } from '../step/input.ts';
import { Masker } from '../step/masking.ts';
import type { OpenConfig, OpenedConfig } from '../step/run.ts';
import type { StoreConfig } from '../stores/open.ts';
import type { Store } from '../stores/store.ts';
import type { VaultConfig } from '../vaults/open.ts';
import type { Vault } from '../vaults/vault.ts';

/** The text of an input by camelCase name, as the host has it. */
type RawInputs = (name: string) => string | undefined;

export interface SessionOptions {
  /** The kinds that this run knows; those of this version when absent. */
  kinds?: Kinds | undefined;
  env?: DrSources['env'];
  /** Reads a secret of dr.yml's vault; for tests. The vault itself, signed in by the step's own inputs, when absent. */
  vaultSecret?: DrSources['vaultSecret'];
}

interface OpenOptions {
  /** The run makes backups: a folder that is not there yet is no disk that is not mounted. */
  makes?: boolean | undefined;
}

export class Session {
  /** Knows every secret that the run has come across: those of its inputs and those that dr.yml refers to. */
  readonly masker = new Masker();
  readonly kinds: Kinds;
  readonly #raw: RawInputs;
  readonly #host: Host;
  readonly #options: SessionOptions;
  #dr: Promise<DrConfig | undefined> | undefined;
  #noticed = false;
  readonly #opened = new Map<string, Promise<unknown>>();
  readonly #stores = new Map<string, Store>();

  constructor(raw: RawInputs, host: Host, options: SessionOptions = {}) {
    this.#raw = raw;
    this.#host = host;
    this.#options = options;
    this.kinds = options.kinds ?? KINDS;
  }

  /**
   * The file that the input `config` names, else the one in the working folder; undefined when there is none.
   * @throws UsageError, ConfigError
   */
  dr(): Promise<DrConfig | undefined> {
    return (this.#dr ??= this.#readDr());
  }

  /** What `runStep` takes a step's inputs from; the session goes to the step's context. */
  readonly config: OpenConfig = async (raw, host, step): Promise<OpenedConfig> => {
    // A step that takes nothing from dr.yml must work beside one that is broken: decrypt, init.
    const dr = Object.values(step.inputs).some((spec) => spec.config !== undefined) ? await this.dr() : undefined;
    if (!dr) return { session: this, absent: this.#absent() };
    if (!this.#noticed) for (const notice of dr.notices) host.notice(problemLine(dr.label, notice));
    this.#noticed = true;
    return { session: this, source: componentSource(dr, raw('component'), step.componentKind, host) };
  };

  /** Why nothing came from dr.yml. */
  #absent(): string {
    return `${absentDr()}${this.#host.kind === 'terminal' ? '.' : ': is the repository checked out?'}`;
  }

  /** The credential of the run. @throws UsageError when the inputs make no way to sign in */
  credential(): Promise<TokenCredential> {
    return this.#once('sign-in', () => this.#signIn());
  }

  /**
   * A store, opened. The options of the first one who opens it count.
   * @param options.patience milliseconds for which it is waited for when it goes away
   * @param options.makes a folder that is not there is made by the first write; else everything fails until it is there
   * @throws UsageError
   */
  async store(config: StoreConfig, { patience, makes = false }: OpenOptions & { patience?: number | undefined } = {}): Promise<Store> {
    const opened = await this.#once(`store ${JSON.stringify(config)}`, async () => {
      const { openStore } = await import('../stores/open.ts');
      return openStore(config, {
        credential: () => this.credential(),
        patience,
        mustExist: !makes,
        debug: (message) => {
          this.#host.debug(message);
        },
        notice: (message) => {
          this.#host.notice(message);
        },
      });
    });
    // Written in another way it is still the same store.
    const known = this.#stores.get(opened.location);
    if (known) return known;
    this.#stores.set(opened.location, opened);
    this.#host.debug(`Opened the store ${opened.location}.`);
    return opened;
  }

  /** A vault, opened; `makes` as for a store. @throws UsageError, VaultError */
  vault(target: string | VaultConfig, { makes = false }: OpenOptions = {}): Promise<Vault> {
    return this.#once(`vault ${JSON.stringify(target)}`, async () => {
      const { openVault } = await import('../vaults/open.ts');
      return openVault(target, { credential: () => this.credential(), mustExist: !makes });
    });
  }

  async #readDr(): Promise<DrConfig | undefined> {
    const file = findDrFile(this.#raw('config'));
    if (file === undefined) return undefined;
    // YAML, zod and cron are loaded only where there is a file to read.
    const { loadDr } = await import('../config/load.ts');
    // Found where it was not looked for by the user: said, because its stores may be others.
    if (file.endsWith(`../${DEFAULT_FILE}`) && !this.#raw('config')) this.#host.notice(`Using ${file}.`);
    this.#host.debug(`Reading ${file}.`);
    return loadDr(file, {
      ...this.#options,
      vaultSecret:
        this.#options.vaultSecret ?? (async (vault, name) => (await (await this.vault(vault)).get(name, this.#host.signal))?.value),
      mask: (secret) => {
        this.#host.mask(secret);
        this.masker.add(secret);
      },
    });
  }

  async #signIn(): Promise<TokenCredential> {
    const { azureCredential, TOKEN_EXCHANGE_AUDIENCE } = await import('../azure/sign-in.ts');
    const secret = this.#raw('azureClientSecret');
    if (secret !== undefined) this.#host.mask(secret);
    this.#host.debug('Preparing the sign-in to Azure.');
    return azureCredential({
      host: this.#host,
      serviceConnection: this.#raw('azureSubscription'),
      clientId: this.#raw('azureClientId'),
      tenantId: this.#raw('azureTenantId'),
      clientSecret: secret === undefined ? undefined : new Secret(secret),
      audience: this.#raw('azureAudience') ?? TOKEN_EXCHANGE_AUDIENCE,
      authorityHost: this.#raw('azureAuthority'),
    });
  }

  /** Made once; again when it failed, for what failed may be well by then. */
  #once<T>(what: string, make: () => Promise<T>): Promise<T> {
    const known = this.#opened.get(what) as Promise<T> | undefined;
    if (known) return known;
    const made = make();
    this.#opened.set(what, made);
    made.catch(() => this.#opened.delete(what));
    return made;
  }
}

/**
 * Makes the `openConfig` of `runStep`: a session for the run, and dr.yml as the source of its inputs. Reads the inputs `config` (path) and
 * `component` (name).
 */
export function drSource(options: SessionOptions = {}): OpenConfig {
  return (raw, host, step) => new Session(raw, host, options).config(raw, host, step);
}

/** Sessions of runs that were started without `openConfig`: one for each host. */
const ownSessions = new WeakMap<Host, Session>();

/** The session of a run. */
export function sessionOf({ session, host }: Pick<StepContext, 'session' | 'host'>): Session {
  if (session instanceof Session) return session;
  const own = ownSessions.get(host) ?? new Session((name) => host.rawInput(name) || undefined, host);
  ownSessions.set(host, own);
  return own;
}
