// Builds dist/ once before the acceptance tests; a build of the same sources is used again.
import { spawnSync } from 'node:child_process';

export default function setup() {
  const run = spawnSync(process.execPath, ['scripts/build.ts'], { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`The build failed:\n${run.stdout}${run.stderr}`);
}
