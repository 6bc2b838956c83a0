// Commands besides the steps: one file and one line here each.
import type { Command } from 'commander';
import { register as registerConfig } from './config.ts';
import { register as registerDecrypt } from './decrypt.ts';

export const extraCommands: readonly ((program: Command) => void)[] = [
  (program) => {
    registerConfig(program);
  },
  registerDecrypt,
];
