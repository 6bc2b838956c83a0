// What may be written to a terminal besides text.

/** True where no escape sequence is wanted: NO_COLOR is set (no-color.org), or the terminal knows none. */
export function isPlain(env: NodeJS.ProcessEnv = process.env): boolean {
  return env['TERM'] === 'dumb' || (env['NO_COLOR'] ?? '') !== '';
}

/** True for a terminal on which a line can be written again. One that calls itself dumb may not even have a carriage return. */
export function canRedraw(stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv = process.env): boolean {
  return stream.isTTY && env['TERM'] !== 'dumb';
}
