// A process that takes a lock and keeps it, to be killed or put to sleep: `node lock-holder.ts <store> <name> <milliseconds until it expires>`.
// Says `held` when it has it and `lost` when it knows that it has it no longer.
import { openStore } from '../../shared/stores/open.ts';

const [address = '', name = '', expiresAfter = ''] = process.argv.slice(2);
const store = await openStore(address);
const lock = await store.lock(name, { owner: `process ${process.pid}`, expiresAfter: Number(expiresAfter) });
lock.lost.addEventListener('abort', () => {
  process.stdout.write('lost\n');
});
process.stdout.write('held\n');
// The timers of a lock keep nobody alive.
setInterval(() => undefined, 1000);
