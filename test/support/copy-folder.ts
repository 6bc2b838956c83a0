// A folder that a test changes and puts back.
import { cpSync, rmSync } from 'node:fs';

/** Remembers a folder as it is. @returns what puts it back, file by file; times and places of files are kept where nothing changed */
export function readCopy(folder: string): () => void {
  const kept = `${folder}.kept`;
  cpSync(folder, kept, { recursive: true, preserveTimestamps: true });
  return () => {
    rmSync(folder, { recursive: true, force: true });
    cpSync(kept, folder, { recursive: true, preserveTimestamps: true });
  };
}
