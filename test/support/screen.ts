// A terminal for tests: a command in a real pseudo-terminal of a given width, and the screen that a person would see.
import { spawn } from 'node:child_process';

/** What a person sees, and what came over the line. */
export interface Screen {
  /** Everything the command wrote, control sequences and all. */
  raw(): string;
  /** Lines as they stand now, without colours, blanks at their ends taken off. */
  lines(): string[];
  /** Sends keys: `\x03` is Ctrl-C. */
  type(keys: string): void;
  /** Waits until the screen shows it. @throws Error when it does not within a minute */
  shows(pattern: RegExp): Promise<void>;
  /** The exit code. */
  ended: Promise<number | null>;
}

export interface ScreenOptions {
  columns: number;
  env?: Record<string, string>;
}

/** Starts a command (its words, without a shell's own letters in them) in the pseudo-terminal that util-linux' `script` makes. */
export function onScreen(command: readonly string[], { columns, env = {} }: ScreenOptions): Screen {
  const inner = `stty cols ${columns} rows 50 && exec ${command.map((word) => `'${word}'`).join(' ')}`;
  const child = spawn('script', ['--quiet', '--flush', '--return', '--command', inner, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    // A terminal of a person's, also where CI runs this: Node takes the colours away for `CI`.
    env: { ...process.env, CI: undefined, NO_COLOR: undefined, FORCE_COLOR: undefined, SHELL: '/bin/sh', TERM: 'xterm-256color', ...env },
  });
  let raw = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    raw += text;
  });
  const lines = (): string[] => linesOf(raw, columns);
  return {
    raw: () => raw,
    lines,
    type: (keys) => child.stdin.write(keys),
    async shows(pattern) {
      const deadline = Date.now() + 60_000;
      while (!pattern.test(lines().join('\n'))) {
        if (Date.now() > deadline) throw new Error(`the screen does not show ${String(pattern)}:\n${lines().join('\n')}`);
        await new Promise((resume) => setTimeout(resume, 20));
      }
    },
    ended: new Promise((end) => child.on('close', end)),
  };
}

/** Plays the output back: line feed, carriage return, erasing a line, and the step to the next line of one that is full. */
export function linesOf(raw: string, columns: number): string[] {
  const rows: string[][] = [[]];
  let row = 0;
  let column = 0;

  for (const [part] of raw.matchAll(/\u001b\[[0-9;?]*[A-Za-z]|[\s\S]/gu)) {
    if (part === '\n') row += 1;
    else if (part === '\r') column = 0;
    else if (part === '\u001b[2K') rows[row] = [];
    else if (!part.startsWith('\u001b')) {
      if (column >= columns) [row, column] = [row + 1, 0];
      const line = (rows[row] ??= []);
      while (line.length < column) line.push(' ');
      line[column] = part;
      column += 1;
    }
    rows[row] ??= [];
  }
  return rows.map((line) => line.join('').trimEnd());
}
