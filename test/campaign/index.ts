// All parts of the fault campaign, in the order in which they run.
import { builtDamage } from './built-damage.ts';
import { clocks, expiredToken, fullDisk, shrunk, twoRuns } from './circumstances.ts';
import { damageArchive, damageBlob, damageFolder } from './damage.ts';
import { damageKeys } from './damage-keys.ts';
import { dumpTools } from './dump-tools.ts';
import { bombs, manifests, names } from './hostile.ts';
import { killParts } from './kill.ts';
import { locks } from './locks.ts';
import type { Part } from './part.ts';
import { weatherStore, weatherVault } from './weather.ts';

export const PARTS: readonly Part[] = [
  damageFolder,
  damageKeys,
  damageArchive,
  damageBlob,
  ...builtDamage,
  ...killParts,
  dumpTools,
  shrunk,
  expiredToken,
  twoRuns,
  locks,
  clocks,
  fullDisk,
  names,
  manifests,
  bombs,
  weatherVault,
  weatherStore,
];
