// Data that vanish, tokens that expire, runs that meet, clocks that jump, disks that fill.
import { clocks, expiredToken, fullDisk, shrunk, twoRuns } from '../campaign/circumstances.ts';
import { locks } from '../campaign/locks.ts';
import { campaignTests } from './support.ts';

campaignTests([shrunk, expiredToken, twoRuns, locks, clocks, fullDisk]);
