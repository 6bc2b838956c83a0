// mongodump stand-ins that misbehave, through the whole way to the store.
import { dumpTools } from '../campaign/dump-tools.ts';
import { campaignTests } from './support.ts';

campaignTests([dumpTools]);
