// Checks of a database inside a pod: the cluster and the pod, the login, what may be read, and the tools that are there.
import { openDump } from './dump-pod.ts';
import { compileSelection, type Selection } from './namespaces.ts';
import { NO_TOOLS, openPodMongo, podToolVersion, type PodMongo, type PodOptions } from './pod-mongo.ts';
import { plural } from '../step/format.ts';
import { skipped, type Check, type Finding } from '../backup/finding.ts';
import type { MongoChecks } from './checks.ts';

/** The same checks as for a database that is reached from here, looked at through the pod. */
export function podMongoChecks(options: PodOptions, selection: Selection): MongoChecks {
  let opening: Promise<PodMongo> | undefined;
  const open = (): Promise<PodMongo> => (opening ??= openPodMongo(options, 'secondary'));
  /** For the checks after the first, which tells why there is no pod. */
  const withPod = async (look: (pod: PodMongo) => Promise<Finding>): Promise<Finding> => {
    const pod = await open().catch(() => undefined);
    return pod ? look(pod) : skipped('There is no pod to look into.');
  };
  const checks: Check[] = [
    {
      name: 'mongodb-connection',
      look: async (signal) => {
        const { namespace, container, fingerprint } = await open();
        const seen = `Container ${container.container} of pod ${container.pod}, at ${fingerprint}`;
        const exec = { resource: 'pods', subresource: 'exec', namespace: namespace.name };
        const { cluster } = namespace;
        // Since Kubernetes 1.35 a WebSocket needs both; before, only what its GET is called.
        const may = await Promise.all(['get', 'create'].map((verb) => cluster.may(verb, exec, signal)));
        if (may.every(Boolean)) return { status: 'ok', seen: `${seen}; programs may be run there.` };
        const fix = `Allow the verbs get and create on pods/exec in namespace ${namespace.name}; docs/operations.md has the role to paste.`;
        return { status: 'failed', seen: `${seen}, but this login may not run programs there.`, fix };
      },
    },
    { name: 'mongodb-login', look: (signal) => withPod((pod) => login(pod, { ...options, signal })) },
    { name: 'mongodb-permissions', look: (signal) => withPod((pod) => permissions(pod, selection, { ...options, signal })) },
    { name: 'tools', look: (signal) => withPod((pod) => tools(pod, signal)) },
  ];
  return { checks, estimate: () => Promise.resolve(undefined), close: () => Promise.resolve() };
}

/** The database admin is on every server and small: its prelude shows that the login is taken. */
async function login(pod: PodMongo, options: PodOptions): Promise<Finding> {
  const archive = await openDump(pod, { include: ['admin'], oplog: false }, options);
  await archive.close();
  return { status: 'ok', seen: `MongoDB ${archive.header.serverVersion} lets mongodump ${archive.header.toolVersion} in.` };
}

async function permissions(pod: PodMongo, selection: Selection, options: PodOptions): Promise<Finding> {
  const archive = await openDump(pod, { oplog: false }, options);
  await archive.close();
  const selector = compileSelection(selection);
  const chosen = archive.entries.filter((entry) => selector.matches(entry));
  return {
    status: 'ok',
    seen: `Everything asked for can be listed: ${plural(chosen.length, 'collection')}. Whether it can be read, a backup shows.`,
  };
}

async function tools(pod: PodMongo, signal: AbortSignal): Promise<Finding> {
  const [dump, restore] = await Promise.all(['mongodump', 'mongorestore'].map((name) => podToolVersion(pod, name, signal)));
  const seen = `mongodump ${dump ?? '(not there)'}, mongorestore ${restore ?? '(not there)'} in pod ${pod.container.pod}`;
  if (dump !== undefined && restore !== undefined) return { status: 'ok', seen: `${seen}.` };
  return { status: 'failed', seen: `${seen}.`, fix: NO_TOOLS };
}
