// What every MongoDB-speaking test server looks like to tests and to the drill.

export interface MongoServer {
  /** Which server answers. */
  kind: 'given' | 'mongod' | 'ferretdb' | 'mongo-java-server';
  /** One line for people: name, version where known, and what keeps the data. */
  description: string;
  /** Connection string for drivers and tools; holds the password when the server asks for one. */
  uri: string;
  /** The server's process, where we started it: for tests that kill it. */
  pid?: number;
  /** Ends the server and deletes its data, unless the data folder was given. A server that was given stays untouched. */
  stop(): Promise<void>;
}
