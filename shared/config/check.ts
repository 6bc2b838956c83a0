// Rules across keys of dr.yml: names that must exist, things that exclude each other, and promises that do not add up.
import { KINDS, type Kinds } from '../kinds/registry.ts';
import { formatSeconds } from '../step/format.ts';
import { parseDuration } from '../step/input.ts';
import type { YamlFile } from './document.ts';
import { pathText, type ConfigProblem } from './problem.ts';
import { collision, crowdedMinute, longestGap } from './schedule.ts';
import type { Dr } from './schema.ts';
import { nearestSpelling } from '../schema/spelling.ts';
import { storeKind } from '../stores/open.ts';
import { vaultNeededBy } from '../vaults/open.ts';

type Loose = Record<string, unknown>;
type Say = (path: PropertyKey[], message: string) => void;

/** Problems between keys. Works on a file that has other problems, too, so that all are told at once. */
export function checkRelations(yaml: YamlFile, kinds: Kinds = KINDS): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const say: Say = (path, message) => problems.push({ ...yaml.locate(path), path: pathText(path), message });
  const data = mapping(yaml.data);
  const stores = Object.keys(mapping(data.stores));
  for (const [name, component] of Object.entries(mapping(data.components))) {
    // What a kind of a later version needs is not known here.
    if (kinds.find(String(mapping(component).kind))) checkStores(['components', name], mapping(component), stores, say);
  }
  checkKeys(data, say);
  checkChannels(data, say);
  return problems;
}

function mapping(value: unknown): Loose {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Loose) : {};
}

/** What was probably meant by a name that is not there, else those that are. */
function hint(name: string, known: readonly string[], key: string): string {
  const near = nearestSpelling(name, known);
  if (near !== undefined) return `Did you mean ${near}?`;
  return known.length === 0 ? `${key} is missing` : `${key} has ${known.join(', ')}`;
}

function checkStores(path: PropertyKey[], component: Loose, stores: string[], say: Say): void {
  const known = (name: unknown, at: PropertyKey[]): void => {
    if (typeof name !== 'string' || stores.includes(name)) return;
    say(at, `there is no store ${JSON.stringify(name)}. ${hint(name, stores, 'stores')}`);
  };
  known(component.store, [...path, 'store']);
  const copies = Array.isArray(component.copies) ? (component.copies as unknown[]) : [];
  for (const name of Object.keys(mapping(mapping(component.retention).stores))) known(name, [...path, 'retention', 'stores', name]);
  const home = component.store ?? (stores.length === 1 ? stores[0] : undefined);
  for (const [index, copy] of copies.entries()) {
    known(copy, [...path, 'copies', index]);
    if (copy === home) say([...path, 'copies', index], 'a copy must go to another store than the backup itself');
    else if (copies.indexOf(copy) < index) say([...path, 'copies', index], 'this store is named twice');
  }
  if (component.store === undefined && stores.length > 1) say(path, `store is missing: say which one of ${stores.join(', ')}`);
}

function checkKeys(data: Loose, say: Say): void {
  const vault = mapping(data.vault).kind;
  for (const [index, entry] of (Array.isArray(data.keys) ? (data.keys as unknown[]) : []).entries()) {
    const recipient = mapping(entry);
    const wanted = vaultNeededBy(recipient);
    if (wanted !== undefined && vault !== wanted)
      say(['keys', index], `kind ${String(recipient.kind)} needs a vault of kind ${wanted} in this file`);
  }
  for (const [field, value] of Object.entries(mapping(data.vault))) {
    if (typeof value === 'string' && value.includes('${vault:'))
      say(['vault', field], 'the vault cannot be found in itself: use ${env:NAME}');
  }
}

function checkChannels(data: Loose, say: Say): void {
  const known = Object.keys(mapping(data.components));
  for (const [index, entry] of (Array.isArray(data.notify) ? (data.notify as unknown[]) : []).entries()) {
    const { components } = mapping(entry);
    for (const [place, name] of (Array.isArray(components) ? (components as unknown[]) : []).entries()) {
      if (typeof name !== 'string' || known.includes(name)) continue;
      say(['notify', index, 'components', place], `there is no component ${JSON.stringify(name)}. ${hint(name, known, 'components')}`);
    }
  }
}

/** Advice on a file that is valid: what this version only checks, and promises that do not hold. */
export function notices(dr: Dr, yaml: YamlFile, now: Date): ConfigProblem[] {
  const said: ConfigProblem[] = [];
  const say: Say = (path, message) => said.push({ ...yaml.locate(path, 'key'), path: pathText(path), message });
  for (const [name, store] of Object.entries(dr.stores ?? {})) {
    const advice = storeKind(store.kind)?.advice?.(store);
    if (advice !== undefined) say(['stores', name], advice);
  }
  const { rpo, rto, phases = {} } = dr.objectives ?? {};
  for (const [name, component] of Object.entries(dr.components)) {
    const at = (key: string): PropertyKey[] => ['components', name, key];
    if (component.schedule === undefined) continue;
    scheduleAdvice(dr, name, component.schedule, now).forEach((advice) => {
      say(at('schedule'), advice);
    });
    if (rpo === undefined) continue;
    const gap = longestGap(component.schedule, now);
    if (gap > parseDuration(rpo)) {
      say(at('schedule'), `leaves up to ${formatSeconds(gap / 1000)} between two backups, more than the rpo of ${rpo}`);
    }
  }
  const sum = Object.values(phases).reduce((total, budget) => total + parseDuration(budget), 0);
  if (rto !== undefined && sum > parseDuration(rto)) {
    say(['objectives', 'phases'], `add up to ${formatSeconds(sum / 1000)}, more than the rto of ${rto}`);
  }
  return said;
}

/** Two runs into one store at once share its bandwidth; and no scheduler keeps time at the full hour. */
function scheduleAdvice(dr: Dr, name: string, schedule: string, now: Date): string[] {
  const advice: string[] = [];
  const minute = crowdedMinute(schedule, now);
  if (minute !== undefined) {
    advice.push(
      `comes due ${minute === 0 ? 'at a full hour' : 'at half past'}, when hosted CI starts runs late or not at all: move it by a few minutes`,
    );
  }
  const stores = Object.keys(dr.stores ?? {});
  const storeOf = (component: Dr['components'][string] | undefined): string | undefined => component?.store ?? stores[0];
  for (const [other, component] of Object.entries(dr.components)) {
    // Told once, at the later one of the two.
    if (other === name) break;
    if (component.schedule === undefined || storeOf(component) !== storeOf(dr.components[name])) continue;
    const moment = collision(component.schedule, schedule, now);
    if (moment === undefined) continue;
    const when = moment.toISOString().slice(0, 16).replace('T', ' ');
    advice.push(`is due in the same minute as ${other} (${when} UTC), into the same store: move one of them by a few minutes`);
  }
  return advice;
}
