// Holds the simulator's traffic against Microsoft's OpenAPI description of Key Vault 7.5, with Microsoft's own validator (oav).
import { createRequire } from 'node:module';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sharedReference } from '../../support/needs.ts';
import type { Exchange } from '../key-vault.ts';
import { tempFolder } from '../support.ts';

export const KEY_VAULT_SPECIFICATION = 'specs/specification/keyvault/data-plane/Microsoft.KeyVault/stable/7.5';

/** The part of oav's LiveValidator that is used; its own types need packages that are not installed. */
interface LiveValidator {
  initialize(): Promise<void>;
  validateLiveRequestResponse(pair: object): Promise<{
    requestValidationResult: { isSuccessful?: boolean; errors: Problem[]; runtimeException?: Problem };
    responseValidationResult: { isSuccessful?: boolean; errors: Problem[]; runtimeException?: Problem };
  }>;
}

interface Problem {
  code: string;
  message: string;
  pathsInPayload?: string[];
}

/** Collects exchanges (give `record` to `onExchange`) and validates them afterwards. */
export class OpenApiCheck {
  readonly #validator: LiveValidator;
  readonly exchanges: Exchange[] = [];

  private constructor(validator: LiveValidator) {
    this.#validator = validator;
  }

  static async create(): Promise<OpenApiCheck> {
    const load = createRequire(import.meta.url);
    const oav = load('oav') as { LiveValidator: new (options: object) => LiveValidator };
    // It warns of every path that names no provider of Azure Resource Manager; those of Key Vault never do.
    (load('oav/dist/lib/util/logging.js') as { log: { consoleLogLevel: string } }).log.consoleLogLevel = 'error';
    const directory = unambiguousCopy();
    // oav reads parts of the description when they are first needed.
    process.once('exit', () => {
      rmSync(directory, { recursive: true, force: true });
    });
    const validator = new oav.LiveValidator({
      directory,
      git: { shouldClone: false },
      swaggerPathsPattern: ['specification/keyvault/data-plane/Microsoft.KeyVault/stable/7.5/{secrets,keys}.json'],
      // oav leaves the data plane of Key Vault out unless told otherwise.
      excludedSwaggerPathsPattern: [],
      isPathCaseSensitive: false,
    });
    await validator.initialize();
    return new OpenApiCheck(validator);
  }

  readonly record = (exchange: Exchange): void => {
    this.exchanges.push(exchange);
  };

  /** What is wrong, one line each. */
  async problems(): Promise<string[]> {
    const found: string[] = [];
    for (const exchange of this.exchanges) found.push(...(await this.#validate(exchange)));
    return found;
  }

  async #validate(exchange: Exchange): Promise<string[]> {
    const url = new URL(exchange.url);
    // The SDK speaks 2026-04-01 and 2025-07-01; the description at hand is 7.5.
    url.searchParams.set('api-version', '7.5');
    const result = await this.#validator.validateLiveRequestResponse({
      liveRequest: { method: exchange.method, url: describable(url), headers: exchange.requestHeaders, body: exchange.requestBody },
      liveResponse: { statusCode: String(exchange.status), headers: exchange.responseHeaders, body: exchange.responseBody },
    });
    // A refused request need not be a valid one.
    const request = exchange.status < 400 ? [result.requestValidationResult] : [];
    return [...request, result.responseValidationResult].flatMap(({ errors, runtimeException }) =>
      [...errors, ...(runtimeException ? [runtimeException] : [])].map(({ code, message, pathsInPayload = [] }) =>
        `${exchange.method} ${url.pathname} → ${exchange.status}: ${code} ${message} ${pathsInPayload.join(' ')}`.trim(),
      ),
    );
  }
}

/**
 * A copy of the description in which `…/{name}/versions` is `…/{name}/list/versions`: oav finds two operations for the original path,
 * which `…/{name}/{version}` matches as well. Nothing else is changed.
 */
function unambiguousCopy(): string {
  const directory = tempFolder('openapi');
  const folder = join(directory, KEY_VAULT_SPECIFICATION.replace(/^specs\//, ''));
  mkdirSync(folder, { recursive: true });
  for (const file of ['secrets.json', 'keys.json', 'common.json']) {
    const text = readFileSync(join(sharedReference, KEY_VAULT_SPECIFICATION, file), 'utf8');
    // The examples are not copied, and not needed to validate traffic.
    const description = JSON.parse(text.replaceAll('}/versions"', '}/list/versions"'), (name, value: unknown) =>
      name === 'x-ms-examples' ? undefined : value,
    ) as object;
    writeFileSync(join(folder, file), JSON.stringify(description));
  }
  return directory;
}

/** The address as the description can take it; `GET /secrets/x/` means the latest version, and it knows no empty path parameter. */
function describable(url: URL): string {
  return url.href.replace(/\/\?/, '/latest?').replace('/versions?', '/list/versions?');
}
