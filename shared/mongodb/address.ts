// Which MongoDB a step is about: one that a connection string reaches, or one inside a pod; and the dump, restore or comparison of it.
import type { ArchiveReport } from './archive-inspector.ts';
import { dumpPod } from './dump-pod.ts';
import { dumpMongo, type MongoDump } from './dump.ts';
import type { EngineChoice } from './engine.ts';
import { compareWithPod, compareWithServer, type Integrity, type IntegrityWishes } from './integrity.ts';
import type { Selection } from './namespaces.ts';
import type { PodAddress, PodOptions } from './pod-mongo.ts';
import { openPodRestore, openRestore, type Restore, type RestoreWishes } from './restore.ts';
import type { StepContext } from '../step/define.ts';
import { UsageError } from '../step/errors.ts';
import type { Secret } from '../step/input.ts';
import type { kubernetesInputs, mongodbInputs } from './inputs.ts';

/** The inputs that say where the database is. */
export type AddressInputs = Pick<typeof mongodbInputs, 'mongodbUri' | 'engine'> & typeof kubernetesInputs;

/** Inputs of a dump or restore. */
export type MongoInputs = typeof mongodbInputs & typeof kubernetesInputs;

export type MongoAddress = { uri: Secret; pod?: undefined } | { uri?: undefined; pod: PodAddress };

/**
 * What is given nearer wins: a connection string as an input against a pod in dr.yml is another database (a throw-away one for a
 * restore test), and a pod as an input against a connection string in dr.yml as well.
 * @throws UsageError for the built-in engine, which cannot reach into a pod
 */
export function mongoAddress(context: StepContext<AddressInputs>): MongoAddress {
  const { mongodbUri: uri } = context.inputs;
  const pod = podAddress(context, uri);
  if (pod) return { pod };
  if (uri === undefined) throw new Error('neither a connection string nor a pod; the rules of the inputs let it pass');
  return { uri };
}

/**
 * The pod, when the step's database is one inside a pod.
 * @param uri the connection string, wherever it was found
 */
export function podAddress(context: StepContext<AddressInputs>, uri: Secret | undefined): PodAddress | undefined {
  const inputs = context.inputs;
  const { kubernetesNamespace: namespace } = inputs;
  const podIsGiven = context.origin('kubernetesNamespace') === 'input';
  const uriIsGiven = context.origin('mongodbUri') === 'input';
  if (namespace === undefined || (uriIsGiven && !podIsGiven)) return undefined;
  if (inputs.engine === 'driver') {
    throw new UsageError('The built-in engine cannot reach a MongoDB inside a pod.', {
      fix: `Leave ${context.host.spell('engine')} out: the pod's own mongodump and mongorestore do it.`,
    });
  }
  return {
    context: inputs.kubernetesContext,
    namespace,
    selector: inputs.kubernetesSelector,
    pod: inputs.kubernetesPod,
    container: inputs.kubernetesContainer,
    // The one of dr.yml leads to the database of dr.yml, from where that was said to be seen.
    uri: uriIsGiven === podIsGiven ? uri : undefined,
  };
}

/** What every work in a pod needs of its host. */
export function podOptions({ host, signal }: StepContext, address: PodAddress): PodOptions {
  return {
    address,
    mask: (secret) => {
      host.mask(secret);
    },
    spell: (input) => host.spell(input),
    signal,
    log: (line) => {
      host.debug(line);
    },
  };
}

/** Prepares a dump of what the step's inputs select of its database. */
export async function openDump(context: StepContext<MongoInputs>): Promise<MongoDump> {
  const { engine, include, exclude } = context.inputs;
  return openDumpOf(context, { ...(include ? { include } : {}), ...(exclude ? { exclude } : {}) }, engine);
}

/** Prepares a dump of just these collections, by mongodump where that has words for them, else by the built-in engine. */
export async function openDumpOf(
  context: StepContext<AddressInputs>,
  selection: Selection,
  engine: EngineChoice = 'auto',
): Promise<MongoDump> {
  const { host, signal } = context;
  const { uri, pod } = mongoAddress(context);
  const common = {
    ...selection,
    signal,
    onProgress: (progress: Parameters<typeof host.progress>[0]) => {
      host.progress(progress);
    },
    log: (line: string) => {
      host.debug(line);
    },
  };
  return pod ? dumpPod({ ...podOptions(context, pod), ...common }) : dumpMongo({ uri, engine, tempDir: host.tempDir, ...common });
}

/** Connects to the step's database and plans a restore into it. */
export async function openRestoreInto(context: StepContext<AddressInputs>, wishes: RestoreWishes): Promise<Restore> {
  const { host, signal } = context;
  const { engine } = context.inputs;
  const { uri, pod } = mongoAddress(context);
  const log = (line: string): void => {
    host.debug(line);
  };
  return pod
    ? openPodRestore(wishes, {
        ...podOptions(context, pod),
        onProgress: (progress) => {
          host.progress(progress);
        },
      })
    : openRestore({ ...wishes, uri, engine, tempDir: host.tempDir, signal, log });
}

/** Compares a backup with the step's database. */
export async function compareWithDatabase(
  context: StepContext<AddressInputs>,
  wishes: IntegrityWishes & { report: ArchiveReport },
): Promise<Integrity> {
  const { uri, pod } = mongoAddress(context);
  return pod ? compareWithPod(wishes, podOptions(context, pod)) : compareWithServer({ ...wishes, uri });
}
