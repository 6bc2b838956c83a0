// SIGKILL of real runs of the command line at commit boundaries and at random moments, a few of them; ./scripts/faults does all.
import { killParts } from '../campaign/kill.ts';
import { campaignTests } from './support.ts';

campaignTests(killParts, 1);
