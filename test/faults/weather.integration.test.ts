// A network and services on their bad days, in samples; ./scripts/faults puts every fault before every request.
import { weatherStore, weatherVault } from '../campaign/weather.ts';
import { campaignTests } from './support.ts';

campaignTests([weatherStore, weatherVault]);
