// Where mongodump and mongorestore run, and how they learn where to connect without a secret on any command line: here, by a private file.
import type { Secret } from '../step/input.ts';
import type { Tool } from '../tools/find-tool.ts';
import { runStreaming, type StreamingOptions, type StreamingProcess } from '../tools/process.ts';
import { redactUri } from './connection-string.ts';
import { writeToolConfig } from './tool-config.ts';

/** A tool that runs. */
export interface StartedTool extends StreamingProcess {
  /** Takes back what was put somewhere for it. Call it in a finally, after `stop`. */
  release(): Promise<void>;
}

/** mongodump or mongorestore, with the server it is for. */
export interface ToolProgram {
  /** How messages call it, such as `mongodump` or `mongodump in pod mongodb-0`. */
  readonly label: string;
  /** Starts it. The arguments hold no secret; where to connect is added in a way that keeps it out of every command line. */
  start(args: readonly string[], options: StreamingOptions): Promise<StartedTool>;
  /** Takes everything secret out of a line. */
  readonly redact: (line: string) => string;
  /** What to do about a failure with these words and this exit code, when the cause lies on the way to the program. */
  readonly fix?: (words: string, code: number | null) => string | undefined;
}

/** A tool of this machine. @param tempDir folder for the short-lived file with the connection string */
export function localProgram({ tool, uri, tempDir }: { tool: Tool; uri: Secret; tempDir: string }): ToolProgram {
  return {
    label: tool.name,
    start: async (args, options) => {
      const config = await writeToolConfig(uri, tempDir);
      const child = runStreaming(tool.path, [`--config=${config.file}`, ...args], options);
      return { ...child, release: () => config.remove() };
    },
    redact: (line) => redactUri(line, uri),
  };
}
