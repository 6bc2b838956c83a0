// Chooses between the official tools and the built-in engine.
import { UserError } from '../step/errors.ts';
import { findTool, type Tool } from '../tools/find-tool.ts';

export type EngineChoice = 'auto' | 'tools' | 'driver';
export type Engine = { kind: 'driver' } | { kind: 'tools'; tool: Tool };

/**
 * `auto` takes the official tool where it is found on PATH, else the built-in engine; `tools` insists.
 * @param obstacle why the tool could not do this job; `auto` then takes the built-in engine
 * @throws UserError when `tools` is asked for and the tool is not there
 */
export async function chooseEngine(
  choice: EngineChoice,
  name: 'mongodump' | 'mongorestore',
  options: { obstacle?: string | undefined; signal?: AbortSignal | undefined; log?: ((line: string) => void) | undefined } = {},
): Promise<Engine> {
  if (choice === 'driver') return { kind: 'driver' };
  const tool =
    options.obstacle !== undefined && choice === 'auto'
      ? undefined
      : await findTool(name, options.signal ? { signal: options.signal } : {});
  if (tool) return { kind: 'tools', tool };
  if (choice === 'tools') {
    throw new UserError(`${name} is not on PATH.`, {
      fix: 'Install the MongoDB Database Tools, or use engine: driver, which needs nothing.',
    });
  }
  options.log?.(options.obstacle ?? `${name} is not on PATH; the built-in engine does it.`);
  return { kind: 'driver' };
}
