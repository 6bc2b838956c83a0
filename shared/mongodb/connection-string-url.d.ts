// What we use of mongodb-connection-string-url: the package has types for CommonJS only.
declare module 'mongodb-connection-string-url' {
  /** A URL with a list of hosts; names of options are the same in upper and lower case. The message of its errors quotes the whole text. */
  export class ConnectionString {
    constructor(uri: string, options?: { looseValidation?: boolean });
    protocol: string;
    username: string;
    password: string;
    pathname: string;
    hosts: string[];
    readonly isSRV: boolean;
    readonly searchParams: URLSearchParams;
    toString(): string;
  }
}
