// Commands besides the steps: one file and one line here each.
import type { Command } from 'commander';
import { register as registerConfig } from './config.ts';
import { register as registerDecrypt } from './decrypt.ts';
import { register as registerInit } from './init.ts';
import { register as registerPrometheusRules } from './prometheus-rules.ts';
import { register as registerVerify } from './verify.ts';

export const extraCommands: readonly ((program: Command) => void)[] = [
  (program) => {
    registerConfig(program);
  },
  registerDecrypt,
  registerInit,
  registerPrometheusRules,
  registerVerify,
];
