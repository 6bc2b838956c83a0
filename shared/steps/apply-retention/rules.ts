// By which rules a retention run judges, and whose backups: the inputs' rules, else those of dr.yml.
import { safetyOf } from '../../backup/layout.ts';
import type { DrConfig } from '../../config/dr-config.ts';
import { absentDr, wayToDr } from '../../config/source.ts';
import { presetRules, retentionRules, type WrittenRules } from '../../config/retention.ts';
import { errorMessage, UsageError } from '../../step/errors.ts';
import type { Context } from './inputs.ts';

/** The components that the run is about. @throws UsageError when nothing says which */
export function componentsOf(context: Context, dr: DrConfig | undefined): string[] {
  const { component } = context.inputs;
  if (component !== undefined) return [component];
  const { host } = context;
  if (dr === undefined) {
    throw new UsageError(`${absentDr()}, and ${host.spell('component')} is missing: whose backups are these rules for?`, {
      fix: `Set ${host.spell('component')} to a name that list-backups shows, such as mongodb, or ${wayToDr(host)}.`,
    });
  }
  const names = dr.componentNames().filter((name) => inputRules(context) !== undefined || dr.component(name).retention !== undefined);
  if (names.length > 0) return names;
  throw new UsageError(`No component of ${dr.label} has retention rules.`, {
    fix: `Add retention: { preset: 7-4-6 } to a component, or give rules, such as ${host.spell('keepDaily')}.`,
  });
}

/** The rules for a component in a store; those of a safety copy are its component's. @throws UsageError when there are none */
export function rulesFor(context: Context, dr: DrConfig | undefined, component: string, store: string | undefined): WrittenRules {
  const given = inputRules(context);
  if (given) return given;
  const name = [component, safetyOf(component)].find((one) => one !== undefined && dr?.componentNames().includes(one));
  const retention = name === undefined ? undefined : dr?.component(name).retention;
  if (retention) return retentionRules(retention, store);
  throw new UsageError(`There are no retention rules for ${component}.`, {
    fix: `Add retention to the component in dr.yml, or give rules, such as ${context.host.spell('keepDaily')}.`,
  });
}

/** The rules that inputs give; undefined when they give none. */
function inputRules({ inputs }: Context): WrittenRules | undefined {
  const { preset } = inputs;
  if (preset !== undefined) {
    try {
      return presetRules(preset);
    } catch (thrown) {
      throw new UsageError(`The preset is ${JSON.stringify(preset)}: ${errorMessage(thrown)}.`, {
        fix: 'Write daily-weekly-monthly, such as 7-4-6, or days, such as 14d.',
      });
    }
  }
  const given = Object.entries(inputs).filter(([name, value]) => name.startsWith('keep') && typeof value === 'string');
  if (given.length === 0) return undefined;
  return Object.fromEntries(
    given.map(([name, text]) => {
      const rule = name.charAt(4).toLowerCase() + name.slice(5);
      return [rule, rule.startsWith('within') || text === 'unlimited' ? text : Number(text)];
    }),
  );
}
