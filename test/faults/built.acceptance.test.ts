// Damage to everything that a store keeps, judged by the built steps as a pipeline runs them, in samples.
import { builtDamage } from '../campaign/built-damage.ts';
import { campaignTests } from './support.ts';

campaignTests(builtDamage);
