// Bit rot and cuts of everything stored, in samples; ./scripts/faults tries every byte.
import { damageArchive, damageBlob, damageFolder } from '../campaign/damage.ts';
import { damageKeys } from '../campaign/damage-keys.ts';
import { campaignTests } from './support.ts';

campaignTests([damageFolder, damageKeys, damageArchive, damageBlob]);
