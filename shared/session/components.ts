// Which component a step is about when none is named: the only one there is, or all of them; never one that was not mentioned.
import { safetyOf } from '../backup/layout.ts';
import { listBackups } from '../catalog/list.ts';
import { absentDr, wayToDr } from '../config/source.ts';
import { Kinds, type AnyKind } from '../kinds/registry.ts';
import type { StepContext } from '../step/define.ts';
import { sessionOf } from './session.ts';
import { UsageError } from '../step/errors.ts';
import { nearestSpelling } from '../schema/spelling.ts';
import type { PlaceInputs, targetInputs } from './inputs.ts';
import type { Place } from '../backup/place.ts';
import { openPlaceAt } from './open.ts';

type ComponentInputs = Pick<typeof targetInputs, 'config' | 'component'>;

/**
 * The component that a backup of a kind is made as. With dr.yml its only component of that kind has been taken already; without, the kind's
 * name is that of the first one, as the help of `component` says.
 * @throws UsageError when dr.yml has none
 */
export async function newComponent(context: StepContext<ComponentInputs>, { kind }: AnyKind): Promise<string> {
  const { component } = context.inputs;
  if (component !== undefined) return component;
  const dr = await sessionOf(context).dr();
  if (dr === undefined) return kind;
  throw new UsageError(`${dr.label} has no component of kind ${kind}.`, {
    fix: `Add one, or set ${context.host.spell('component')}${dr.componentNames().length > 0 ? ` (there are: ${dr.componentNames().join(', ')})` : ''}.`,
  });
}

/**
 * The component whose backups are read: the one that is named, the only one in dr.yml, or else the only one in the store.
 * @throws UsageError listing those that there are
 */
export async function storedComponent(context: StepContext<ComponentInputs & PlaceInputs>, fitting: AnyKind | Kinds): Promise<string> {
  const { component, store } = context.inputs;
  if (component !== undefined) return component;
  const { host } = context;
  const dr = await sessionOf(context).dr();
  const names = dr?.componentNames() ?? (store === undefined ? [] : await storedComponents(context, store));
  const [only] = names;
  const onlyKind = fitting instanceof Kinds ? (fitting.all.length === 1 ? fitting.names[0] : undefined) : fitting.kind;
  if (only !== undefined && names.length === 1) return only;
  if (onlyKind !== undefined && names.length === 0 && store !== undefined) return onlyKind;
  throw new UsageError(
    `${dr === undefined && store === undefined ? `${absentDr()}, and ` : ''}${host.spell('component')} is missing: ${names.length === 0 ? 'say whose backups are meant' : 'there is more than one'}.`,
    {
      fix: names.length === 0 ? `Set it, or ${wayToDr(host)}.` : `Set ${host.spell('component')} to one of ${names.join(', ')}.`,
    },
  );
}

async function storedComponents(context: StepContext<PlaceInputs>, address: string): Promise<string[]> {
  return componentsIn(await openPlaceAt(context, address), context.signal);
}

/** The components that a place has backups of; what restores replaced is none of its own. @throws StoreError */
export async function componentsIn({ store, prefix }: Place, signal: AbortSignal): Promise<string[]> {
  const names = new Set((await listBackups(store, prefix, { signal })).map(({ component }) => component));
  return [...names].filter((name) => safetyOf(name) === undefined || !names.has(safetyOf(name) ?? '')).sort();
}

/**
 * The error of a component of which a place has nothing: another component, or another name, may be meant.
 * @throws UsageError where a name is wrong; undefined where the place is right and simply empty
 */
export async function nothingThere(
  context: StepContext<PlaceInputs>,
  place: Place,
  component: string | undefined,
): Promise<UsageError | undefined> {
  const { host, signal } = context;
  const { store, prefix } = place;
  const there = await componentsIn(place, signal);
  if (there.length > 0 && component !== undefined) {
    const near = nearestSpelling(component, there);
    return new UsageError(`${store.location} has no backup of ${component} below ${prefix}.`, {
      fix: near === undefined ? `It has backups of ${there.join(', ')}.` : `Did you mean ${near}?`,
    });
  }
  const names = await namesIn(place, signal);
  if (names.length === 0) return undefined;
  const near = nearestSpelling(prefix, names);
  return new UsageError(`${store.location} has no backup below ${prefix}.`, {
    fix: `${near === undefined ? `There are backups below ${names.join(', ')}: check` : `Did you mean ${near}? Check`} ${host.spell('name')}.`,
  });
}

/** The names (top folders) below which a store has backups. */
async function namesIn({ store }: Place, signal: AbortSignal): Promise<string[]> {
  const names = new Set<string>();
  for await (const { name } of store.list('', signal)) {
    const [top, , timestamp, file] = name.split('/');
    if (top !== undefined && file === 'manifest.json' && /^\d{8}_\d{6}$/.test(timestamp ?? '')) names.add(top);
  }
  return [...names].sort();
}
