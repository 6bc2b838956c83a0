// Strange names, hostile manifests, zip bombs.
import { bombs, manifests, names } from '../campaign/hostile.ts';
import { campaignTests } from './support.ts';

campaignTests([names, manifests, bombs]);
