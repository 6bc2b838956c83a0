// A living cluster as the place where a backup is restored to.
import type { Fact, Proof, Source, Target, TargetRequest } from '../backup/kind.ts';
import { openCluster, type Cluster } from '../kubernetes/cluster.ts';
import type { StepContext } from '../step/define.ts';
import { RefusedError } from '../step/errors.ts';
import { plural } from '../step/format.ts';
import type { Progress } from '../step/host.ts';
import { printable } from '../step/prose.ts';
import { NO_CHANGES, pairsOf, type Changes } from './changes.ts';
import type { restoreInputs, stateInputs } from './inputs.ts';
import type { StateReport } from './inspector.ts';
import { StateRestore, type StatePlan } from './restore.ts';
import type { StateSelection } from './selection.ts';
import { fingerprintOf, openStateSource } from './source.ts';
import { lossLines, planFacts, planWarnings, rowOf } from './texts.ts';
import { Throttle } from './throttle.ts';

type Inputs = typeof stateInputs & typeof restoreInputs;

/** What a call selects. */
export function selectionOf({
  inputs,
}: StepContext<typeof stateInputs & Partial<Pick<Inputs, 'includeNames' | 'selector'>>>): StateSelection {
  const { includeNamespaces, excludeNamespaces, includeKinds, excludeKinds, includeNames, selector } = inputs;
  return { includeNamespaces, excludeNamespaces, includeKinds, excludeKinds, includeNames, selector };
}

/** Opens the cluster of a call. The throttle hears when it has too much to do. @throws UsageError, UserError */
export async function openStateCluster(
  { inputs, signal, host }: StepContext<typeof stateInputs>,
  throttle = new Throttle(),
): Promise<Cluster> {
  return openCluster(
    { context: inputs.context },
    {
      signal,
      onWait: ({ status, waitMs }) => {
        if (status === 429) throttle.slower();
        host.debug(`The API server ${status === undefined ? 'does not answer' : `answers ${status}`}; waiting ${Math.round(waitMs)} ms.`);
      },
    },
  );
}

/** Looks at the cluster and at all of the backup. @throws VerificationError, ApiError, ClusterUnreachableError, UserError */
export async function openStateTarget(context: StepContext<Inputs>, request: TargetRequest<StateReport>): Promise<Target<StateReport>> {
  const { inputs, signal, host } = context;
  const { rollback, report } = request;
  const throttle = new Throttle();
  const cluster = await openStateCluster(context, throttle);
  try {
    const [fingerprint, version] = await Promise.all([fingerprintOf(cluster), cluster.version()]);
    // A rollback puts back all that was replaced, as it was.
    const changes: Changes = rollback
      ? NO_CHANGES
      : { namespaces: pairsOf(inputs.namespace), storageClasses: pairsOf(inputs.storageClass), scaleToZero: inputs.scaleToZero };
    const restore = new StateRestore({
      ...{ cluster, throttle, changes, signal },
      read: request.read,
      objects: report.objects,
      selection: rollback ? {} : selectionOf(context),
      existing: rollback ? 'recreate' : inputs.existing,
    });
    const plan = await restore.plan((progress) => {
      host.progress(progress);
    });
    const spell = (name: string): string => host.spell(name);
    return new StateTarget({ cluster, restore, plan, changes, fingerprint, version, request, report, spell });
  } catch (thrown) {
    cluster.close();
    throw thrown;
  }
}

interface Looked {
  cluster: Cluster;
  restore: StateRestore;
  plan: StatePlan;
  changes: Changes;
  fingerprint: string;
  version: string;
  request: TargetRequest<StateReport>;
  report: StateReport;
  spell: (name: string) => string;
}

class StateTarget implements Target<StateReport> {
  readonly #looked: Looked;

  constructor(looked: Looked) {
    this.#looked = looked;
  }

  get fingerprint(): string {
    return this.#looked.fingerprint;
  }
  get plan(): StatePlan {
    return this.#looked.plan;
  }
  get makes(): readonly string[] {
    return this.#looked.restore.made;
  }
  get warnings(): readonly string[] {
    return [...planWarnings(this.plan), ...movedReleases(this.#looked)];
  }
  get facts(): readonly Fact[] {
    const { cluster, version, fingerprint, changes, plan } = this.#looked;
    return [['Target', `${cluster.context}, ${cluster.server} (Kubernetes ${version}, ${fingerprint})`], ...planFacts(plan, changes)];
  }

  losses(after: string): readonly string[] {
    return lossLines(this.plan, after);
  }

  refuseOccupied(): void {
    const { plan, request, spell } = this.#looked;
    const [first] = plan.changes;
    if (first === undefined || request.replace) return;
    const others = plan.changed > 1 ? ` and ${plural(plan.changed - 1, 'other object')}` : '';
    throw new RefusedError(`${printable(first.name)}${others} of the cluster would be changed.`, {
      fix: `Allow it with ${spell('replace')}, leave what is there with ${spell('existing')} skip, or restore into another namespace with ${spell('namespace')}.`,
    });
  }

  isHome(source: string | undefined): boolean {
    return source === this.fingerprint && this.#looked.changes.namespaces.size === 0;
  }

  present(): ReturnType<Target<StateReport>['present']> {
    const { plan, restore, cluster } = this.#looked;
    if (plan.changed === 0) return undefined;
    return {
      said: plural(plan.changed, 'object'),
      selection: {},
      open: async (): Promise<Source<StateReport>> => {
        const source = await openStateSource(cluster, { selection: {}, only: restore.changedPaths });
        // The restore goes on with the same connections.
        return { ...source, close: async () => Promise.resolve() };
      },
    };
  }

  async write(bytes: AsyncIterable<Uint8Array>, onProgress: (progress: Progress) => void): ReturnType<Target['write']> {
    const { created, changed, recreated, unchanged, notes } = await this.#looked.restore.write(bytes, onProgress);
    return { units: created + changed + recreated + unchanged, notes };
  }

  async remove(names: readonly string[]): Promise<string | undefined> {
    const stays = await this.#looked.restore.remove(names);
    return stays.length === 0 ? undefined : `Made by that restore, and still there: ${stays.map(printable).join(', ')}.`;
  }

  async prove(onProgress: (progress: Progress) => void): Promise<Proof> {
    const rows = await this.#looked.restore.prove(onProgress);
    const wrong = rows.filter(({ wrongCount }) => wrongCount > 0);
    const count = wrong.reduce((sum, one) => sum + one.wrongCount, 0);
    const [first] = wrong.flatMap((row) => row.wrong);
    return {
      rows: rows.map(rowOf),
      found: rows.reduce((sum, { equal }) => sum + equal, 0),
      verdict: count === 0 ? 'equal' : 'different',
      problem: first === undefined ? undefined : `${plural(count, 'object')}: ${printable(first)}${count > 1 ? ', and others' : ''}.`,
    };
  }

  async close(): Promise<void> {
    this.#looked.cluster.close();
    await Promise.resolve();
  }
}

/** Helm finds its releases in the namespace that they note themselves, and their Secrets are restored byte by byte. */
function movedReleases({ changes, report }: Looked): string[] {
  return report.helm
    .filter(({ namespace }) => changes.namespaces.has(namespace))
    .map(
      ({ release, namespace }) =>
        `The Helm release ${printable(release)} still says that it is in ${namespace}: its objects work under the new name, helm upgrade does not.`,
    );
}
