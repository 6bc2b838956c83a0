// A mongosh for pods: runs a script from standard input, of whose words it knows those that Lifeboat writes, and drops through the driver.
// Arguments: a file for its calls, `--`, what mongosh got.
// The real one (2.5) was seen to do the same: it prints no script, stops at the first error of a line, and ends with 0 all the same.
import { appendFileSync, readFileSync } from 'node:fs';
import { runInNewContext } from 'node:vm';
import { MongoClient } from 'mongodb';
import { end } from './behaviour.ts';

const [callsFile = '', , ...args] = process.argv.slice(2);
appendFileSync(callsFile, `${JSON.stringify({ program: 'mongosh', args, environment: process.env })}\n`);
if (!args.includes('--nodb')) end(1);
const asked: { uri: string; db: string; name: string }[] = [];
const printed: string[] = [];
class Mongo {
  readonly #uri: string;
  constructor(uri: string) {
    this.#uri = uri;
  }
  getDB(db: string): unknown {
    return { getCollection: (name: string) => ({ drop: () => asked.push({ uri: this.#uri, db, name }) }) };
  }
}
runInNewContext(readFileSync(0, 'utf8'), { Mongo, print: (text: string) => printed.push(text) });
for (const { uri, db, name } of asked) {
  const client = new MongoClient(uri);
  await client.db(db).collection(name).drop();
  await client.close();
}
end(0, `> ${printed.join('\n')}\n`);
