// The registry of steps. A new step is one file and one line here; every host's face follows from it.
import type { AnyStep } from '../step/define.ts';
import { auditStep } from './audit.ts';
import { applyRetention } from './apply-retention.ts';
import { backupAll } from './backup-all.ts';
import { backupIntegrityCheck } from './backup-integrity-check.ts';
import { backupValidation } from './backup-validation.ts';
import { copyBackupsStep } from './copy-backups.ts';
import { doctor } from './doctor.ts';
import { importBackup } from './import-backup.ts';
import { holdBackup } from './hold-backup.ts';
import { listBackupsStep } from './list-backups.ts';
import { mongodbBackup } from './mongodb-backup.ts';
import { mongodbRestore } from './mongodb-restore.ts';
import { releaseHold } from './release-hold.ts';
import { notifyStep } from './notify.ts';
import { statusStep } from './status.ts';

export const steps: readonly AnyStep[] = [
  mongodbBackup,
  mongodbRestore,
  backupValidation,
  backupIntegrityCheck,
  listBackupsStep,
  applyRetention,
  holdBackup,
  releaseHold,
  statusStep,
  notifyStep,
  auditStep,
  backupAll,
  copyBackupsStep,
  importBackup,
  doctor,
];

/** The step with that name. */
export function findStep(name: string): AnyStep | undefined {
  return steps.find((step) => step.name === name);
}
