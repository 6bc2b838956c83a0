// Gives a server as much of a command as it takes: of the options that it refuses, each is left out alone.
import { MongoServerError } from 'mongodb';

/** More options than this are not tried in every combination. */
const MOST_COMBINED = 6;

/** What a server refused, with its words for it. */
export interface Refused {
  names: string[];
  reason: string;
}

/**
 * Tries with all options, then with fewer. A refusal that quotes an option (`The field 'safe' is not valid …`, `BSON field 'create.flags' is an
 * unknown field`) is about that one; for any other, the largest part that is taken is looked for.
 * @param names options that may be left out
 * @param attempt sends the command without these options
 * @returns undefined when everything was taken
 * @throws MongoServerError the first refusal, when the command is refused without any of them as well; what else `attempt` throws
 */
export async function withoutRefused(
  names: readonly string[],
  attempt: (without: ReadonlySet<string>) => Promise<unknown>,
): Promise<Refused | undefined> {
  const out = new Set<string>();
  let first: MongoServerError | undefined;
  for (;;) {
    const refusal = await refusalOf(() => attempt(out));
    if (!refusal) return first && { names: [...out], reason: first.message };
    first ??= refusal;
    const left = names.filter((name) => !out.has(name));
    const quoted = quotedIn(refusal.message, left);
    if (quoted !== undefined) {
      out.add(quoted);
      continue;
    }
    for (const some of partsOf(left)) {
      const without = new Set([...out, ...some]);
      if (!(await refusalOf(() => attempt(without)))) return { names: [...without], reason: first.message };
    }
    throw first;
  }
}

/** @throws what is no refusal */
async function refusalOf(work: () => Promise<unknown>): Promise<MongoServerError | undefined> {
  try {
    await work();
    return undefined;
  } catch (thrown) {
    if (thrown instanceof MongoServerError) return thrown;
    throw thrown;
  }
}

/** The option that a message quotes first, with or without the command's name in front. */
function quotedIn(message: string, names: readonly string[]): string | undefined {
  const quotes = [...message.matchAll(/['"`](?:\w+\.)*(\w+)['"`]/g)].map((match) => match[1]);
  return quotes.find((name) => name !== undefined && names.includes(name));
}

/** Parts of the options to leave out, the smallest first; never none. */
function partsOf(names: readonly string[]): string[][] {
  if (names.length === 0) return [];
  if (names.length > MOST_COMBINED) return [...names.map((name) => [name]), [...names]];
  const parts: string[][] = [];
  for (let bits = 1; bits < 2 ** names.length; bits += 1) parts.push(names.filter((_, at) => (bits >> at) % 2 === 1));
  return parts.sort((a, b) => a.length - b.length);
}
