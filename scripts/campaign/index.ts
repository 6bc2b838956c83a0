// All parts of the fault campaign. `copy` and `prune` join here when they exist: a part each beside killBackup, over the same boundaries.
import { clocks, expiredToken, fullDisk, shrunk, twoRuns } from './circumstances.ts';
import { damageArchive, damageBlob, damageFolder, damageKeys } from './damage.ts';
import { dumpTools } from './dump-tools.ts';
import { exitCodes } from './exit-codes.ts';
import { bombs, manifests, names } from './hostile.ts';
import { killBackup, killRestore } from './kill.ts';
import type { Part } from './part.ts';
import { weatherStore, weatherVault } from './weather.ts';

export const PARTS: readonly Part[] = [
  damageFolder,
  damageKeys,
  damageArchive,
  damageBlob,
  exitCodes,
  killBackup,
  killRestore,
  weatherStore,
  weatherVault,
  dumpTools,
  shrunk,
  expiredToken,
  twoRuns,
  clocks,
  fullDisk,
  names,
  manifests,
  bombs,
];
