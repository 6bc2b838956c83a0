// A mongodump that goes wrong in one chosen way. Arguments: how, the archive's file, a file for its calls, `--`, what mongodump got.
import { appendFileSync, readFileSync } from 'node:fs';
import { configuredUri, end, log, stay, write } from './behaviour.ts';

const [how = '', archiveFile = '', callsFile = '', , ...args] = process.argv.slice(2);
appendFileSync(callsFile, `${JSON.stringify({ program: 'mongodump', args, environment: process.env })}\n`);
if (args.includes('--version')) end(0, 'mongodump version: 100.10.0\ngit version: stand-in\n');

const archive = readFileSync(archiveFile);
await log('writing chat.messages to archive on stdout');
switch (how) {
  case 'honest':
    await write(process.stdout, archive);
    await log('done dumping chat.messages (1000 documents)');
    break;
  case 'cut-archive':
    await write(process.stdout, archive.subarray(0, Math.floor(archive.length * 0.6)));
    await log('done dumping chat.messages (1000 documents)');
    break;
  case 'twenty-bytes':
    await write(process.stdout, archive.subarray(0, 20));
    break;
  case 'fails-after-archive':
    await write(process.stdout, archive);
    await log('Failed: error dumping oplog: overflow');
    end(1);
    break;
  case 'secret-on-stderr':
    await log(`Failed: can't create session: failed to connect to ${configuredUri(args)}: connection() error: auth error`);
    end(1);
    break;
  case 'noisy':
    await write(process.stderr, Buffer.alloc(100_000_000, `${'noise '.repeat(20)}\n`));
    await write(process.stdout, archive);
    break;
  case 'hangs':
    await write(process.stdout, archive.subarray(0, Math.floor(archive.length / 2)));
    await stay({ endsOnSigterm: true });
    break;
  case 'hangs-hard':
    await write(process.stdout, archive.subarray(0, Math.floor(archive.length / 2)));
    await stay({ endsOnSigterm: false });
    break;
  default:
    await log(`this stand-in knows no way called ${how}`);
    end(64);
}
