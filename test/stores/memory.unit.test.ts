// The store in memory that unit tests use, held to what every store must do.
import { storeConformance } from './conformance.ts';
import { MemoryStore } from '../support/memory-store.ts';

const store = new MemoryStore();
storeConformance(
  'memory',
  async () => store,
  () => ({ reopen: async () => store }),
);
