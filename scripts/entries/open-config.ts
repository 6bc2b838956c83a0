// dr.yml as every host's entry opens it.
import { drSource } from '../../shared/config/source.ts';
import type { OpenConfig } from '../../shared/step/run.ts';

export const openConfig: OpenConfig = drSource();
