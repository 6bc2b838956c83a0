// A mongorestore that goes wrong in one chosen way and restores nothing. Arguments as for the mongodump beside it, with a document count for the archive.
import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import { end, log, stay } from './behaviour.ts';

const [how = '', documents = '0', callsFile = '', , ...args] = process.argv.slice(2);
appendFileSync(callsFile, `${JSON.stringify({ program: 'mongorestore', args, environment: process.env })}\n`);
if (args.includes('--version')) end(0, 'mongorestore version: 100.10.0\ngit version: stand-in\n');

const total = Number(documents);
await log('preparing collections to restore from');
switch (how) {
  case 'says-all-restored':
    await readAll();
    await summary(total, 0);
    break;
  case 'failed-documents':
    await readAll();
    await log(`continuing through error: E11000 duplicate key error collection: chat.messages index: _id_ dup key: { _id: "1" }`);
    await summary(total - 3, 3);
    break;
  case 'restores-nothing':
    await readAll();
    await summary(0, 0);
    break;
  case 'fails-after-reading':
    await readAll();
    await log('Failed: chat.messages: error restoring from archive on stdin: (BadValue) Index option "ns" is unknown');
    await summary(total, 0);
    end(1);
    break;
  case 'never-reads':
    await log('Failed: stream or file does not appear to be a mongodump archive');
    end(1);
    break;
  case 'hangs':
    await stay({ endsOnSigterm: true });
    break;
  default:
    await log(`this stand-in knows no way called ${how}`);
    end(64);
}

async function readAll(): Promise<void> {
  process.stdin.resume();
  await once(process.stdin, 'end');
}

async function summary(restored: number, failed: number): Promise<void> {
  await log(`${restored} document(s) restored successfully. ${failed} document(s) failed to restore.`);
}
