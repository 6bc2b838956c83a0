import { describe } from '@jest/globals';
import { MemoryStore } from '../support/memory-store.ts';
import { pruneConformance } from './prune-conformance.ts';

describe('in memory', () => {
  pruneConformance(async () => new MemoryStore());
});
