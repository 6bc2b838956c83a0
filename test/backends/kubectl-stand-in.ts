// A misbehaving stand-in named kubectl, whose pods run the mongodump and mongorestore stand-ins: failures of real clusters, on demand.
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readCalls, type StandInCall, type StandIns } from './mongo-tools-stand-ins.ts';

export type KubectlBehaviour =
  /** Passes everything through, exit codes too. */
  | 'honest'
  /** Standard output ends after `cutAt` bytes, exit 0 (kubernetes/kubernetes#124571, #73056, k3s-io/k3s#2062). */
  | 'cut'
  /** The program's exit code is lost: 0 whatever happened. */
  | 'loses-exit-code'
  /** `cutAt` bytes, then the connection breaks. */
  | 'websocket-dies'
  /** `cutAt` bytes, then the program is killed from outside. */
  | 'pod-evicted'
  /** `cutAt` bytes, then nothing more happens. */
  | 'hangs'
  | 'no-context'
  | 'no-kubeconfig'
  | 'unreachable'
  | 'logged-out'
  | 'may-not-list'
  | 'may-not-exec'
  /** The container has no MongoDB tools. */
  | 'no-program';

/** The part of a Pod object that is of interest. */
export interface StandInPod {
  metadata: { name: string; annotations?: Record<string, string>; deletionTimestamp?: string };
  spec: { containers: { name: string }[] };
  status: object;
}

export interface KubectlOrders {
  how: KubectlBehaviour;
  /** Folder of the programs inside the container. */
  programs: string;
  pods: StandInPod[];
  cutAt?: number;
  /** Of the container. */
  environment?: Record<string, string>;
  /** What mongosh hears of the server in each pod; without it there is no mongosh. */
  hello?: Record<string, object>;
}

export interface KubectlStandIn {
  /** Full path of the program. */
  path: string;
  /** A value for PATH under which it comes first. */
  searchPath: string;
  calls(): StandInCall[];
}

/** A pod that runs and is ready. */
export function readyPod(name = 'mongodb-0', containers: string[] = ['mongodb']): StandInPod {
  return {
    metadata: { name },
    spec: { containers: containers.map((container) => ({ name: container })) },
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
  };
}

/** Puts it beside the tools, with which it is removed. */
export function kubectlStandIn(tools: StandIns, orders: Partial<Omit<KubectlOrders, 'programs'>> = {}): KubectlStandIn {
  const programs = dirname(tools.mongodump);
  const folder = join(programs, 'kubectl');
  mkdirSync(folder);
  const ordersFile = join(folder, 'orders.json');
  const callsFile = join(folder, 'calls');
  writeFileSync(ordersFile, JSON.stringify({ how: 'honest', pods: [readyPod()], ...orders, programs }));
  const path = join(folder, 'kubectl');
  const script = fileURLToPath(new URL('stand-ins/kubectl.ts', import.meta.url));
  const words = [process.execPath, '--disable-warning=ExperimentalWarning', script, ordersFile, callsFile, '--'].map((word) => `'${word}'`);
  writeFileSync(path, `#!/bin/sh\nexec ${words.join(' ')} "$@"\n`);
  chmodSync(path, 0o755);
  return {
    path,
    searchPath: `${folder}${delimiter}${process.env['PATH'] ?? ''}`,
    calls: () => (existsSync(callsFile) ? readCalls(callsFile) : []),
  };
}
