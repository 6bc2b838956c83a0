// What `doctor` does: opens what is configured, runs every check side by side, and shows what each saw.
import { resolve } from 'node:path';
import { absentDr, findDrFile } from '../../config/source.ts';
import { findingOf, skipped, type Check, type CheckStatus } from '../../backup/finding.ts';
import { runChecks, type CheckResult } from '../../doctor/check.ts';
import { azureIdentity, signInChecks } from '../../doctor/sign-in.ts';
import { encryptionCheck, keyAccessCheck, keyOverview, recipientsCheck, vaultCheck, type KeyFacts } from '../../doctor/keys.ts';
import type { KindChecks } from '../../backup/kind.ts';
import type { AnyKind } from '../../kinds/registry.ts';
import { roleDefinition, storeRoleCommand, vaultRoleCommand } from '../../doctor/azure-roles.ts';
import { scheduleChecks } from '../../doctor/schedule.ts';
import { storeChecks } from '../../doctor/store.ts';
import { sessionOf } from '../../session/session.ts';
import type { StepReturn } from '../../step/define.ts';
import { CancelledError, UsageError, UserError } from '../../step/errors.ts';
import { formatCount, plural } from '../../step/format.ts';
import { prose } from '../../step/prose.ts';
import { storeKind } from '../../stores/open.ts';
import { vaultConfig, vaultKind } from '../../vaults/open.ts';
import type { KeyRecipient, RecipientKind } from '../../vaults/vault.ts';
import { doctorStep } from './index.ts';
import type { Context } from './inputs.ts';
import { keysBeside } from '../../session/key-place.ts';
import type { Place } from '../../backup/place.ts';
import { openKeys, openPlaceAt } from '../../session/open.ts';
import { runPart } from '../../runs/part.ts';
import { commandBlock, details, heading, page, table } from '../../pages/summary.ts';

type DoctorInputs = Context['inputs'];

export async function runDoctor(context: Context): Promise<StepReturn> {
  const inputs = context.inputs;
  const { clock, signal } = context;
  requireSubject(context, inputs);
  const components = inputs.component === undefined ? ((await sessionOf(context).dr())?.componentNames() ?? []) : [];
  if (components.length > 1) return checkComponents(context, components);
  const thing = await thingChecks(context);
  let keys: Promise<KeyFacts[]> | undefined;
  try {
    const place = inputs.store === undefined ? undefined : await openPlaceAt(context, inputs.store);
    const overview = (stop: AbortSignal): Promise<KeyFacts[]> =>
      (keys ??= place ? keyOverview(place.store, place.prefix, clock.now(), stop) : Promise.resolve([]));
    const checks = wanted(inputs.only, [
      ...thing.checks,
      ...(place ? placeChecks(context, place, thing.estimate) : withoutStore('store-access', 'clock', 'space')),
      await vaultAccess(context, inputs),
      ...(await keyChecks(context, inputs, place)),
      keyPlaceCheck(inputs, place),
      ...(place ? [encryptionCheck(overview)] : withoutStore('encryption')),
      ...signInChecks({
        host: context.host,
        azure: usesAzure(inputs, place),
        credential: () => sessionOf(context).credential(),
        clientId: inputs.azureClientId,
        audience: inputs.azureAudience,
      }),
      ...scheduleChecks({
        store: place?.store,
        prefix: inputs.name,
        component: inputs.component,
        schedule: await scheduleOf(context),
        now: clock.now(),
      }),
    ]);
    const results = await runChecks(checks, { timeout: inputs.timeout, signal, monotonic: () => clock.monotonic() });
    return await report(context, results, (await keys?.catch(() => undefined)) ?? []);
  } finally {
    await thing.close();
  }
}

/** Checks each component by itself; what is the same for all of them, such as the vault, is told once. */
async function checkComponents(context: Context, components: readonly string[]): Promise<StepReturn> {
  const found: { component: string; checks: CheckResult[]; keys: KeyFacts[] }[] = [];
  const doctor = doctorStep(sessionOf(context).kinds);
  for (const component of components) {
    const finish = await runPart(context, doctor, { component }, { withoutSummary: true });
    if (context.signal.aborted) throw new CancelledError();
    const result = finish.result as { checks: CheckResult[]; encryption: { keys: KeyFacts[] } } | undefined;
    // A check that there is not concerns all of them.
    if (!result && finish.error?.kind === 'usage' && context.inputs.only?.length)
      throw new UsageError(finish.error.message, { fix: finish.error.fix });
    const { message, fix } = finish.error ?? { message: 'It could not be checked.' };
    const failed: CheckResult = {
      name: 'configuration',
      status: 'failed',
      seen: message,
      seconds: 0,
      fix,
    };
    found.push({ component, checks: result?.checks ?? [failed], keys: result?.encryption.keys ?? [] });
  }
  const keys = new Map(found.flatMap((one) => one.keys).map((key) => [`${key.component}/${key.timestamp}`, key]));
  return report(context, merged(found), [...keys.values()]);
}

/** The results of all components; what is the same for all stands once, the rest says whose it is. */
function merged(found: readonly { component: string; checks: readonly CheckResult[] }[]): CheckResult[] {
  const sameAs = (check: CheckResult) => (other: CheckResult) =>
    other.name === check.name && other.status === check.status && other.seen === check.seen;
  const isCommon = (check: CheckResult): boolean => found.every(({ checks }) => checks.some(sameAs(check)));
  const common = (found[0]?.checks ?? []).filter(isCommon);
  const own = found.flatMap(({ component, checks }) =>
    checks.filter((check) => !isCommon(check)).map((check) => ({ ...check, name: `${component}: ${check.name}` })),
  );
  return [...common, ...own];
}

/** @throws UsageError when nothing is given that could be checked, as in a wrong folder */
function requireSubject(context: Context, { config, store, vault }: DoctorInputs): void {
  const { host } = context;
  const { kinds } = sessionOf(context);
  const subjects = [findDrFile(config), store, vault];
  if (subjects.some((subject) => subject !== undefined) || kinds.all.some((kind) => isMeant(context, kind))) return;
  const nouns = ['store', 'vault', ...kinds.all.map((kind) => kind.thing)];
  const none = `no ${nouns.slice(0, -1).join(', ')} or ${nouns.at(-1)}`;
  const [address = 'component'] = Object.keys(kinds.inputs);
  throw new UsageError(`${absentDr()}, and ${none} is given: there is nothing to check.`, {
    fix:
      host.kind === 'terminal'
        ? 'Go to the folder of your dr.yml, or write one: lifeboat init'
        : `Check out the repository with dr.yml, or set ${host.spell('store')}, ${host.spell('vault')} and ${host.spell(address)}.`,
  });
}

/** @throws UsageError for a name that no check has */
function wanted(only: readonly string[] | undefined, checks: readonly Check[]): readonly Check[] {
  if (!only?.length) return checks;
  const unknown = only.filter((name) => !checks.some((check) => check.name === name));
  if (unknown.length > 0) {
    throw new UsageError(`There is no check ${unknown.join(', ')}.`, { fix: `Checks are: ${checks.map(({ name }) => name).join(', ')}.` });
  }
  return checks.filter(({ name }) => only.includes(name));
}

function placeChecks(context: Context, { store, prefix }: Place, estimate: () => Promise<number | undefined>): Check[] {
  const credential = () => sessionOf(context).credential();
  const grant = async (): Promise<string | undefined> => {
    const azure = storeKind(store.kind)?.azureContainer?.(store.location);
    return azure && storeRoleCommand(await azureIdentity(credential), ...azure);
  };
  return storeChecks({ store, prefix, clock: context.clock, estimate, grant });
}

async function vaultAccess(context: Context, { vault: address }: DoctorInputs): Promise<Check> {
  const name = 'vault-access';
  if (address === undefined) return { name, look: async () => skipped('No vault is given.') };
  const credential = () => sessionOf(context).credential();
  return opened(name, async () => {
    const vault = await sessionOf(context).vault(address);
    return vaultCheck({
      vault,
      grant: async () => {
        const vaultName = vaultKind(vault.kind)?.azureName?.(vault.location);
        return vaultName === undefined
          ? undefined
          : vaultRoleCommand(await azureIdentity(credential), vaultName, 'Key Vault Secrets Officer');
      },
    });
  });
}

/** The keys must not lie where the backups lie. */
function keyPlaceCheck({ vault }: DoctorInputs, place: Place | undefined): Check {
  return {
    name: 'key-place',
    look: async () => {
      if (vault === undefined || place === undefined) return skipped('There is no vault or no store to compare.');
      const config = vaultConfig(vault);
      if (config.kind !== 'folder') return skipped('A Key Vault is never the place of the backups.');
      const beside = await keysBeside(resolve(config.path), place.store);
      const seen = beside ?? `The keys in ${config.path} lie apart from the backups in ${place.store.location}.`;
      return { status: beside === undefined ? 'ok' : 'warning', seen };
    },
  };
}

/** Every name is there in every run, so that `only` can always be the same. */
function withoutStore(...names: string[]): Check[] {
  return names.map((name) => ({ name, look: async () => skipped('No store is given.') }));
}

/** `key-recipients` and, where there is a store, `key-access`. */
async function keyChecks(context: Context, inputs: DoctorInputs, place: Place | undefined): Promise<Check[]> {
  const credential = () => sessionOf(context).credential();
  const closed = new Set<RecipientKind>(inputs.escrowKey === undefined ? ['escrow'] : []);
  let recipients: KeyRecipient[];
  try {
    recipients = await openKeys(context);
  } catch (thrown) {
    if (!(thrown instanceof UserError)) throw thrown;
    return [
      { name: 'key-recipients', look: async () => findingOf(thrown) },
      { name: 'key-access', look: async () => skipped('There is no key recipient that could open a key.') },
    ];
  }
  const vaultName = (address = ''): string => (URL.canParse(address) ? (new URL(address).hostname.split('.')[0] as string) : '<vault>');
  const keyVault = recipients.find(({ kind }) => kind === 'key-vault-key')?.location;
  const grant = async (): Promise<string> =>
    vaultRoleCommand(await azureIdentity(credential), vaultName(keyVault), 'Key Vault Crypto User');
  const access = place && keyAccessCheck({ store: place.store, prefix: place.prefix, component: inputs.component, recipients }, closed);
  return [recipientsCheck(recipients, grant), ...(access ? [access] : withoutStore('key-access'))];
}

/** A check whose subject cannot even be opened says so itself, instead of ending all the others. */
async function opened(name: string, make: () => Promise<Check>): Promise<Check> {
  try {
    return await make();
  } catch (thrown) {
    if (!(thrown instanceof UserError)) throw thrown;
    return { name, look: async () => findingOf(thrown) };
  }
}

function usesAzure({ vault = '' }: DoctorInputs, place: Place | undefined): boolean {
  return (place !== undefined && storeKind(place.store.kind)?.azureContainer !== undefined) || /^https:/i.test(vault);
}

/** The checks of the thing itself: of the component's kind; where no component says which, of the kinds that the call tells something of. */
async function thingChecks(context: Context): Promise<KindChecks> {
  const { component } = context.inputs;
  const { kinds } = sessionOf(context);
  const dr = await sessionOf(context).dr();
  const known = component !== undefined && dr?.componentNames().includes(component) ? dr.component(component).kind : undefined;
  const fitting = known === undefined ? kinds.all : [kinds.get(known)];
  const lookUp = async (path: string): Promise<string | undefined> =>
    known === undefined || component === undefined ? undefined : dr?.text(['components', component, ...path.split('.')]);
  const all = await Promise.all(
    fitting.map(async (kind) => {
      const own = await (await kind.load()).checks(context, lookUp);
      return known !== undefined || isMeant(context, kind) ? own : { ...own, checks: own.checks.map((check) => notMeant(check, kind)) };
    }),
  );
  return {
    checks: all.flatMap(({ checks }) => checks),
    estimate: async () => {
      const estimates = await Promise.all(all.map((one) => one.estimate()));
      return estimates.find((estimate) => estimate !== undefined);
    },
    close: async () => {
      await Promise.all(all.map((one) => one.close()));
    },
  };
}

/** The call says where a thing of that kind is, or names checks. A cluster that a login happens to reach is not what a database's owner asks about. */
function isMeant({ host, inputs }: Context, kind: AnyKind): boolean {
  return inputs.only?.[0] !== undefined || Object.keys(kind.inputs).some((name) => host.rawInput(name));
}

function notMeant({ name }: Check, { thing }: AnyKind): Check {
  return { name, look: async () => Promise.resolve(skipped(`No ${thing} is named.`)) };
}

async function scheduleOf(context: Context): Promise<string | null | undefined> {
  const dr = await sessionOf(context).dr();
  if (dr === undefined) return null;
  const { component } = context.inputs;
  return component === undefined ? undefined : dr.text(['components', component, 'schedule']);
}

async function report(context: Context, results: readonly CheckResult[], keys: readonly KeyFacts[]): Promise<StepReturn> {
  const by = (status: CheckStatus): CheckResult[] => results.filter((result) => result.status === status);
  const [failed, warnings, ok] = [by('failed'), by('warning'), by('ok')];
  context.setOutput('ok', ok.length);
  context.setOutput('warnings', warnings.length);
  context.setOutput('failed', failed.length);
  context.setOutput('checks', JSON.stringify(results));
  const forbidden = failed.some(({ fix = '' }) => fix.includes('az role assignment create'));
  const head =
    failed.length > 0
      ? `${plural(failed.length, 'check')} of ${results.length} FAILED`
      : warnings.length > 0
        ? `ready, with ${plural(warnings.length, 'warning')}`
        : 'everything is ready';
  await context.host.summary(
    page(
      heading(failed.length > 0 ? 'bad' : warnings.length > 0 ? 'doubtful' : 'good', `${context.inputs.name}: ${head}`),
      table(
        ['check', 'result', 'what was found'],
        results.map(({ name, status, seen }) => [name, STATUS_TEXT[status], seen]),
      ),
      ...[...Map.groupBy([...failed, ...warnings, ...ok], ({ fix }) => fix)].flatMap(([fix, same]) =>
        fixText(same.map(({ name }) => name).join(', '), fix),
      ),
      forbidden ? details('A role with nothing but what is needed', commandBlock(JSON.stringify(roleDefinition(), null, 2))) : undefined,
      keys.length === 0 ? undefined : details(`Keys of ${plural(keys.length, 'backup')}`, keyTable(keys)),
    ),
  );
  const doubts = warnings.map(({ name, seen }) => `${name}: ${seen}`);
  const result = { checks: results, encryption: { cipher: 'AES-256-GCM', keys }, ...(forbidden ? { role: roleDefinition() } : {}) };
  if (failed.length === 0) return { doubts, result };
  return {
    doubts,
    result,
    failure: new UserError(
      `${plural(failed.length, 'check')} of ${results.length} failed:\n${failed.map(({ name, seen }) => `- ${name}: ${seen}`).join('\n')}`,
      { fix: 'The summary says what to do about each; so does the JSON result.' },
    ),
  };
}

const STATUS_TEXT: Record<CheckStatus, string> = { ok: 'ok', warning: 'WARNING', failed: 'FAILED', skipped: '-' };
/** Backups shown in the summary; `--json` has all. */
const KEYS_SHOWN = 20;

function fixText(name: string, fix: string | undefined): string[] {
  if (fix === undefined) return [];
  const [sentence = '', ...command] = fix.split('\n');
  return [`**${name}**: ${prose(sentence)}`, ...(command.length > 0 ? [commandBlock(command.join('\n'))] : [])];
}

function keyTable(keys: readonly KeyFacts[]): string {
  const shown = keys.toReversed().slice(0, KEYS_SHOWN);
  const rest = keys.length - shown.length;
  return page(
    table(
      ['backup', 'data', 'content key made', 'wrapped for'],
      shown.map(({ component, timestamp, cipher, created, recipients }) => [
        `${component} ${timestamp}`,
        cipher,
        created.slice(0, 10),
        recipients.map(({ kind, algorithm }) => `${kind} (${algorithm})`).join(', '),
      ]),
    ),
    rest > 0 ? `And ${formatCount(rest)} older ones; --json has them all.` : undefined,
  );
}
