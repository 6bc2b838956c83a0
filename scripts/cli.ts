// `lifeboat` from source, for tests and for work on it; what is built begins in shared/entries/cli.ts.
import { runCli } from '../shared/cli/program.ts';
import { endProcess } from '../shared/entries/end.ts';

await runCli(process.argv.slice(2));
await endProcess();
