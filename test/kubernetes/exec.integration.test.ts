// Programs in a container, really run: what they read and print arrives whole, and how they ended is told for certain or not at all.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { openCluster, type Cluster } from '../../shared/kubernetes/cluster.ts';
import { NoProgramError, runInPod } from '../../shared/kubernetes/exec.ts';
import { CancelledError, UserError } from '../../shared/step/errors.ts';
import type { StreamingOptions, StreamingProcess } from '../../shared/tools/process.ts';
import { kubernetesProgram, startKubernetes, type Kubernetes } from '../backends/kubernetes.ts';
import { runProgram } from '../backends/support.ts';
import { describeIf } from '../support/needs.ts';

const program = await kubernetesProgram();
const POD = { namespace: 'here', name: 'pod-0' };

describeIf(!('missing' in program), 'missing' in program ? program.missing : '')('a program in a container', () => {
  let kubernetes: Kubernetes;
  let cluster: Cluster;

  beforeAll(async () => {
    if ('missing' in program) return;
    kubernetes = await startKubernetes(program.program);
    await kubernetes.addPod(POD);
    cluster = await openCluster({ kubeconfig: kubernetes.kubeconfig });
  });

  afterAll(async () => {
    cluster.close();
    await kubernetes.stop();
  });

  function start(command: string[], stdin?: 'ends', options: StreamingOptions = {}): StreamingProcess {
    return runInPod(cluster, { namespace: POD.namespace, pod: POD.name, container: 'mongodb', command, stdin }, options);
  }

  async function digestOf(stream: AsyncIterable<Uint8Array>): Promise<string> {
    const hash = createHash('sha256');
    for await (const chunk of stream) hash.update(chunk);
    return hash.digest('hex');
  }

  test.each([
    ['exit 0', 0],
    ['exit 7', 7],
    ['kill -9 $$', 137],
  ])('that does %s ends with %i', async (script, code) => {
    const lines: string[] = [];
    const child = start(['sh', '-c', `echo out; echo err >&2; ${script}`], undefined, { onLine: (line) => lines.push(line) });
    expect(await child.ended).toMatchObject({ code, lastLines: ['err'] });
    expect([Buffer.concat(await child.stdout.toArray()).toString(), lines]).toEqual(['out\n', ['err']]);
  });

  test('gets its arguments as they are, without a shell', async () => {
    const words = ['a b', '$HOME', "it's", '&?=%', 'grüß'];
    expect((await start(['printf', '%s\n', ...words]).stdout.toArray()).join('')).toBe(words.map((word) => `${word}\n`).join(''));
  });

  test('reads an end, and 50 MB come back as they went', async () => {
    const child = start(['cat'], 'ends');
    const sent = createHash('sha256');
    const writing = (async () => {
      for (let index = 0; index < 50; index += 1) {
        const piece = randomBytes(1_000_003);
        sent.update(piece);
        if (!child.stdin.write(piece)) await once(child.stdin, 'drain');
      }
      child.stdin.end();
    })();
    const received = await digestOf(child.stdout as AsyncIterable<Uint8Array>);
    await writing;
    expect([received, (await child.ended).code]).toEqual([sent.digest('hex'), 0]);
  });

  test('without an input reads an end at once', async () => {
    expect((await start(['wc', '-c']).stdout.toArray()).join('').trim()).toBe('0');
  });

  test('waits for a reader that is slow, who gets all of it', async () => {
    const child = start(['head', '-c', '30000000', '/dev/zero']);
    await delay(1000);
    // What has arrived by now is what fits: the rest waits on the way.
    expect(child.stdout.readableLength).toBeLessThan(4 * 2 ** 20);
    let bytes = 0;
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) bytes += chunk.length;
    expect(bytes).toBe(30_000_000);
  });

  test('that is not there is told as that', async () => {
    const child = start(['mongodump-nowhere']);
    await expect(child.ended).rejects.toBeInstanceOf(NoProgramError);
    await expect(child.stdout.toArray()).rejects.toThrow(
      /mongodump-nowhere cannot be run in container mongodb of pod pod-0: .*executable file not found/,
    );
  });

  test('in a pod that is not there is refused', async () => {
    const child = runInPod(cluster, { namespace: POD.namespace, pod: 'nowhere', container: 'c', command: ['true'] });
    await expect(child.ended).rejects.toMatchObject({ status: 404, message: 'The cluster refused: pods "nowhere" not found.' });
  });

  test('goes when it is not wanted any more', async () => {
    const mark = randomBytes(6).toString('hex');
    const running = async (): Promise<boolean> => (await runProgram('ps', ['-eo', 'args'])).includes(mark);
    const cancel = new AbortController();
    const child = start(['sh', '-c', 'while echo x; do sleep 0.1; done', mark], undefined, { signal: cancel.signal });
    while (!(await running())) await delay(50);
    cancel.abort(new CancelledError());
    await expect(child.ended).rejects.toBeInstanceOf(CancelledError);
    while (await running()) await delay(50);
  });

  test('whose stream is cut with exit code 0 ends well: only what was cut can tell', async () => {
    kubernetes.cutOutput(POD, 1000);
    try {
      const child = start(['head', '-c', '30000000', '/dev/zero']);
      let bytes = 0;
      for await (const chunk of child.stdout as AsyncIterable<Buffer>) bytes += chunk.length;
      expect([bytes, (await child.ended).code]).toEqual([1000, 0]);
    } finally {
      kubernetes.cutOutput(POD, undefined);
    }
  });

  test('whose API server is killed has no end that could be taken for one', async () => {
    const child = start(['sh', '-c', 'echo begun; sleep 100']);
    await once(child.stdout, 'readable');
    await kubernetes.killApiServer();
    try {
      await expect(child.ended).rejects.toThrow(/The connection to pod pod-0 broke before sh had ended/);
      await expect(child.stdout.toArray()).rejects.toBeInstanceOf(UserError);
    } finally {
      await kubernetes.startApiServer();
    }
  });
});
