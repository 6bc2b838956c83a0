// What `status` does: gathers facts from all stores, judges them, and says so in every form.
import type { Expectation, Facts, WatchedStore } from '../../monitor/facts.ts';
import { gatherFacts } from '../../monitor/facts.ts';
import { metricFamilies, pushMetrics, renderMetrics, writeMetricsFile } from '../../monitor/metrics.ts';
import { DEFAULT_LIMITS, judge, type StatusFinding } from '../../monitor/rules.ts';
import { readMemory, sameFinding, statusDocument, writeStatus, type Memory, type StatusDocument } from '../../monitor/status.ts';
import type { DrConfig } from '../../config/dr-config.ts';
import { absentDr, wayToDr } from '../../config/source.ts';
import { composeAlert, lastGoodOf, type Problem } from '../../notify/compose.ts';
import type { Message } from '../../notify/message.ts';
import { sessionOf } from '../../session/session.ts';
import type { StepReturn } from '../../step/define.ts';
import { errorMessage, UsageError, UserError } from '../../step/errors.ts';
import { plural } from '../../step/format.ts';
import { parseDuration } from '../../step/input.ts';
import type { Context } from './inputs.ts';
import { notificationsOf } from '../../runs/announce.ts';
import { keysBeside } from '../../session/key-place.ts';
import { completed } from '../../pages/next-command.ts';
import { openPlaceAt } from '../../session/open.ts';
import { maskerOf } from '../../runs/secrets.ts';
import { statusSummary } from '../../pages/status.ts';

/** People are told again of what is still wrong after so long. */
const REMIND_MS = 24 * 3_600_000;

type Inputs = Context['inputs'];

export async function runStatus(context: Context): Promise<StepReturn> {
  const given = context.inputs;
  const { host, clock, signal } = context;
  const config = await sessionOf(context).dr();
  const now = clock.now();
  const { stores, expectations, partial } = await openStores(context, given, config);
  const home = stores[0] as WatchedStore;
  const inputs = partial ? { ...given, publish: false, notify: false } : given;
  if (partial) host.info(`This is only a part of what ${config?.label ?? 'dr.yml'} names: no one is told, and status.json stays as it is.`);
  let memory: Memory | undefined;
  let findings: StatusFinding[];
  let facts: Awaited<ReturnType<typeof gatherFacts>>;
  try {
    memory = await readMemory(home.store, inputs.name, signal);
    facts = await gatherFacts({ stores, prefix: inputs.name, expectations, now, keysSeen: memory?.keys ?? [], signal });
    const judged = judge(facts, now, { ...DEFAULT_LIMITS, graceMs: inputs.grace }).map(({ next, ...finding }) => {
      const command = completed(context, next, config !== undefined);
      return command === undefined ? finding : { ...finding, next: command };
    });
    findings = [...judged, ...(await keyPlaceFindings(stores, config))];
  } catch (thrown) {
    // No one can see whether there are backups: that is an alarm by itself.
    if (!signal.aborted) await tell(context, inputs, config, [{ severity: 'critical', message: errorMessage(thrown) }]);
    throw thrown;
  }
  const news = isNews(findings, memory, now);
  const told = news && (await tell(context, inputs, config, findings, lastGood(facts, findings)));
  const status = statusDocument({
    name: inputs.name,
    facts,
    findings,
    now,
    graceMs: inputs.grace,
    memory,
    notified: nextNotified({ news, told, well: findings.length === 0 }, memory, now),
  });
  const doubts = await publish(context, inputs, home, status);
  outputs(context, status);
  await host.summary(statusSummary(status, now));
  const fails = findings.filter(({ severity }) => inputs.failOn === 'warning' || (inputs.failOn === 'critical' && severity === 'critical'));
  for (const { severity, message } of findings)
    if (!fails.some((fail) => fail.message === message)) host.warning(`${severity}: ${message}`);
  if (inputs.failOn !== 'never' && fails.length > 0) throw failed(fails, status);
  return { doubts, result: status };
}

/** Stores that lie in the same folder as the keys. A store whose vault is not known here is not judged. */
async function keyPlaceFindings(stores: readonly WatchedStore[], config: DrConfig | undefined): Promise<StatusFinding[]> {
  const vault = config?.dr.vault?.kind === 'folder' ? await config.vault() : undefined;
  if (vault?.kind !== 'folder') return [];
  const found = await Promise.all(stores.map(async ({ name, store }) => ({ name, message: await keysBeside(vault.path, store) })));
  return found.flatMap(({ name, message }): StatusFinding[] =>
    message === undefined ? [] : [{ rule: 'key-place', severity: 'warning', store: name, message }],
  );
}

function failed(findings: readonly StatusFinding[], status: StatusDocument): UserError {
  const message =
    findings.length === 1
      ? (findings[0] as StatusFinding).message
      : `${plural(findings.length, 'problem')} with the backups of ${status.name}:\n${findings.map((finding) => `- ${finding.message}`).join('\n')}`;
  const next = findings.find((finding) => finding.next !== undefined)?.next;
  return new UserError(message, next === undefined ? {} : { fix: `Run next: ${next}` });
}

interface Look {
  /** The first one keeps status.json. */
  stores: WatchedStore[];
  expectations: Expectation[];
  /** True when dr.yml promises more than is looked at: who is well here says nothing about the rest. */
  partial: boolean;
}

/** The stores to look at and what dr.yml promises of them. @throws UsageError */
async function openStores(context: Context, inputs: Inputs, config: DrConfig | undefined): Promise<Look> {
  const { host } = context;
  const rpo = config?.dr.objectives?.rpo;
  const only = context.origin('component') === 'input' ? inputs.component : undefined;
  const all = (config?.componentNames() ?? []).flatMap((component): Expectation[] => {
    const entry = config?.component(component);
    const store = config?.storeNameOf(component);
    if (!entry || store === undefined) return [];
    return [
      {
        component,
        kind: entry.kind,
        store,
        copies: entry.copies,
        schedule: entry.schedule,
        rpoMs: rpo === undefined ? undefined : parseDuration(rpo),
      },
    ];
  });
  const { store: given } = inputs;
  const named = given !== undefined && config?.hasStore(given) === true;
  const asked = all.filter(({ component, store }) => (only ?? component) === component && (given ?? store) === store);
  const expectations = given === undefined || named ? asked : [];
  const names = given === undefined ? storesOf(expectations) : [given];
  if (names.length === 0) {
    const store = host.spell('store');
    if (config === undefined) {
      throw new UsageError(`${absentDr()}, and ${store} is missing.`, {
        fix: `Set ${store} to the store of the backups, or ${wayToDr(host)}.`,
      });
    }
    throw new UsageError(`${config.label} has no component with a store to look at, and ${store} is missing.`, {
      fix: `Add one to the file, or set ${store} to the store of the backups.`,
    });
  }
  const stores = await Promise.all(
    names.map(async (name): Promise<WatchedStore> => {
      const { store } = await openPlaceAt(context, name);
      return { name: config?.hasStore(name) ? name : store.location, store };
    }),
  );
  if (given === undefined || named) {
    return { stores, expectations, partial: expectations.length < all.length || names.length < storesOf(all).length };
  }
  // A store that dr.yml does not name has a status of its own.
  return { stores, expectations: only === undefined ? [] : [{ component: only, store: (stores[0] as WatchedStore).name }], partial: false };
}

function storesOf(expectations: readonly Expectation[]): string[] {
  return [...new Set(expectations.flatMap(({ store, copies = [] }) => [store, ...copies]))];
}

/** True when people do not know yet, or have not been reminded for a day. */
function isNews(findings: readonly StatusFinding[], memory: Memory | undefined, now: Date): boolean {
  if (findings.length === 0) return memory?.notified !== undefined;
  const before = memory?.findings ?? [];
  const isNew = findings.some(
    (finding) => !before.some((old) => sameFinding(old, finding) && (old.severity === finding.severity || finding.severity === 'warning')),
  );
  return isNew || memory?.notified === undefined || now.getTime() - memory.notified.getTime() >= REMIND_MS;
}

/** Since when people know how it stands. Undefined: the next look tells them, be it that no channel could be reached now. */
function nextNotified(
  { news, told, well }: { news: boolean; told: boolean; well: boolean },
  memory: Memory | undefined,
  now: Date,
): Date | undefined {
  // That all is well again is told only to who was told that it is not.
  if (well) return told ? undefined : memory?.notified;
  if (told) return now;
  return news ? undefined : memory?.notified;
}

/** What the components concerned can be restored to; all components where nothing is wrong with one of them. */
function lastGood({ components }: Facts, findings: readonly StatusFinding[]): Message['lastGoodBackup'] {
  const named = components.filter(({ component }) => findings.some((finding) => finding.component === component));
  const concerned = named.length > 0 ? named : components;
  return lastGoodOf(
    concerned.flatMap(({ backups }) => backups),
    concerned.map(({ component }) => component),
  );
}

/** @returns true when a channel was told */
async function tell(
  context: Context,
  inputs: Inputs,
  config: DrConfig | undefined,
  problems: readonly Problem[],
  lastGoodBackup?: Message['lastGoodBackup'],
): Promise<boolean> {
  const { host, clock } = context;
  if (!inputs.notify || config === undefined || config.channels().length === 0) return false;
  try {
    const notifications = await notificationsOf(context, config, maskerOf(context));
    const message = composeAlert({ name: inputs.name, problems, lastGoodBackup, at: clock.now(), run: host.run });
    const { told } = await notifications.tell(message);
    if (told.length > 0) host.info(`Told: ${told.join(', ')}.`);
    return told.length > 0;
  } catch (thrown) {
    host.warning(`No one was told of the status. ${errorMessage(thrown)}`);
    return false;
  }
}

/** Writes status.json, the metrics file and the push. @returns what did not work: none of it changes the status */
async function publish(context: Context, inputs: Inputs, home: WatchedStore, status: StatusDocument): Promise<string[]> {
  const { clock, signal } = context;
  const { metricsFile, metricsFormat, pushGateway, pushGatewayAuth } = inputs;
  const doubts: string[] = [];
  const attempt = async (what: string, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      doubts.push(`${what} ${errorMessage(thrown)}`);
    }
  };
  const families = metricFamilies(status);
  if (inputs.publish) await attempt('status.json was not written.', () => writeStatus(home.store, inputs.name, status, signal));
  if (metricsFile !== undefined) await attempt('', () => writeMetricsFile(metricsFile, renderMetrics(families, metricsFormat)));
  if (pushGateway !== undefined) {
    const options = { auth: pushGatewayAuth, clock, signal };
    await attempt('The metrics were not pushed.', () => pushMetrics(pushGateway, status.name, renderMetrics(families), options));
  }
  return doubts.map((doubt) => doubt.trim());
}

function outputs({ setOutput }: Context, status: StatusDocument): void {
  setOutput('status', status.status);
  setOutput('lastBackup', status.last_backup ?? '');
  setOutput('nextBackup', status.next_backup ?? '');
  setOutput('problems', status.findings.length);
  setOutput('document', JSON.stringify(status));
}
