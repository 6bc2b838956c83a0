// Builds and fetches, once, every server and tool that tests use: `node test/backends/prepare.ts`. On a fresh machine that takes some
// twenty minutes, which no test's time limit should have to allow for. What cannot be had is left to the tests that need it.
import { canBuildFerretDb, ferretDbProgram } from './ferretdb.ts';
import { installKeycloak, whyNoKeycloak } from './keycloak.ts';
import { kubernetesProgram } from './kubernetes.ts';
import { canBuildMongoJavaServer, mongoJavaServerClasses } from './mongo-java-server.ts';
import { mongoTools } from './mongo-tools.ts';
import { act, actionlint, zizmor } from './pipeline-tools.ts';
import { prometheusTools } from './prometheus.ts';
import { missingForPythonStorage, pythonWithAzureStorage } from './python-storage.ts';
import { restic } from './restic.ts';
import { sshd } from './sshd.ts';
import { versitygw } from './versitygw.ts';

type Preparation = () => Promise<unknown>;

const PREPARATIONS: Readonly<Record<string, Preparation>> = {
  FerretDB: async () => (await canBuildFerretDb()) && ferretDbProgram(),
  'mongo-java-server': async () => canBuildMongoJavaServer() && mongoJavaServerClasses(),
  'the MongoDB tools': mongoTools,
  Keycloak: async () => whyNoKeycloak() === undefined && installKeycloak(),
  sshd,
  versitygw,
  restic,
  Prometheus: prometheusTools,
  'the Azure SDK for Python': async () => missingForPythonStorage() === undefined && pythonWithAzureStorage(),
  act,
  actionlint,
  zizmor,
  Kubernetes: kubernetesProgram,
};

for (const [name, prepare] of Object.entries(PREPARATIONS)) {
  // A registry may have a bad minute.
  const problem = (await problemOf(prepare)) === undefined ? undefined : await problemOf(prepare);
  if (problem !== undefined) process.stderr.write(`${name} cannot be had here: ${problem}\n`);
}
process.exit();

/** Why it did not work, in one line; undefined when it did. */
async function problemOf(prepare: Preparation): Promise<string | undefined> {
  try {
    const result = await prepare();
    return typeof result === 'object' && result !== null && 'missing' in result ? String(result.missing) : undefined;
  } catch (thrown) {
    return (thrown instanceof Error ? thrown.message : String(thrown)).split('\n', 1)[0];
  }
}
