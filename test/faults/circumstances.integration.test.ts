// Data that vanish, tokens that expire, runs that meet, clocks that jump, disks that fill.
import { clocks, expiredToken, fullDisk, shrunk, twoRuns } from '../../scripts/campaign/circumstances.ts';
import { campaignTests } from './support.ts';

campaignTests([shrunk, expiredToken, twoRuns, clocks, fullDisk]);
