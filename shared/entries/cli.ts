// The first lines of `lifeboat`, dist/cli.mjs. They must run on an old Node.js, too, to say what is needed.
import { endProcess } from './end.ts';

const NEEDED_MAJOR = 24;

if (Number.parseInt(process.versions.node, 10) < NEEDED_MAJOR) {
  process.stderr.write(`lifeboat needs Node.js ${NEEDED_MAJOR} or newer; this is ${process.version} (${process.execPath}). `);
  process.stderr.write('In a clone, scripts/lifeboat starts it with the Node.js 24 that the project brings.\n');
  process.exitCode = 2;
} else {
  const { runCli } = await import('../cli/program.ts');
  await runCli(process.argv.slice(2));
}
await endProcess();
