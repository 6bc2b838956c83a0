// The registry of steps. A new step is one file and one line here; every host's face follows from it.
import { KINDS, type AnyKind, type Kinds } from '../kinds/registry.ts';
import type { AnyStep } from '../step/define.ts';
import { auditStep } from './audit/index.ts';
import { applyRetention } from './apply-retention/index.ts';
import { backupAll } from './backup-all/index.ts';
import { backupIntegrityCheck } from './backup-integrity-check/index.ts';
import { backupValidation } from './backup-validation/index.ts';
import { copyBackupsStep } from './copy-backups/index.ts';
import { doctorStep } from './doctor/index.ts';
import { importBackup } from './import-backup/index.ts';
import { holdBackup } from './hold-backup/index.ts';
import { listBackupsStep } from './list-backups/index.ts';
import { compareStep } from './kind-compare/index.ts';
import { backupStep } from './kind-backup/index.ts';
import { restoreStep } from './kind-restore/index.ts';
import { releaseHold } from './release-hold/index.ts';
import { notifyStep } from './notify/index.ts';
import { statusStep } from './status/index.ts';

/** The steps of a kind, under the names that its words give them. */
export function stepsOf(kind: AnyKind): AnyStep[] {
  const { restore, compare } = kind.steps;
  return [
    backupStep(kind),
    ...(restore === undefined ? [] : [restoreStep(kind, restore)]),
    ...(compare === undefined ? [] : [compareStep(kind, compare)]),
  ];
}

/** All steps of a program that knows these kinds. */
export function stepsWith(kinds: Kinds): readonly AnyStep[] {
  return [
    ...kinds.all.flatMap(stepsOf),
    backupValidation(kinds),
    backupIntegrityCheck(kinds),
    listBackupsStep,
    applyRetention,
    holdBackup,
    releaseHold,
    statusStep,
    notifyStep,
    auditStep,
    backupAll(kinds),
    copyBackupsStep,
    importBackup(kinds),
    doctorStep(kinds),
  ];
}

export const steps: readonly AnyStep[] = stepsWith(KINDS);

/** The step with that name. */
export function findStep(name: string): AnyStep | undefined {
  return steps.find((step) => step.name === name);
}
