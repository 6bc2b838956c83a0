// `./scripts/drill`: the main job on real input. A database is backed up through the real SDKs, destroyed, restored and proved equal.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { BlockBlobClient } from '@azure/storage-blob';
import { Option } from 'commander';
import { drSource } from '../../shared/session/session.ts';
import { Lifecycle } from '../../shared/hosts/lifecycle.ts';
import { EXIT_CODES, errorMessage, outcomeOf, throwIfCancelled, UserError, type ErrorKind } from '../../shared/step/errors.ts';
import { formatBytes, formatCount, plural } from '../../shared/step/format.ts';
import { parseSize } from '../../shared/step/input.ts';
import { runStep } from '../../shared/step/run.ts';
import { findStep } from '../../shared/steps/index.ts';
import { parseScript, scriptCommand } from '../../scripts/command.ts';
import { endProcess } from '../../shared/entries/end.ts';
import { dropDatabases, loadDataset, type LoadedDataset } from './dataset-load.ts';
import { DrillHost } from './drill-host.ts';
import type { DrillResult, DrillVerdict, PhasePlan, PhaseRun } from './phase-facts.ts';
import { PhaseBoard } from './phases.ts';
import { reportPage } from './report.ts';
import { DRILL_COMPONENT, DRILL_NAME, startStack, writeDrYml, type DrillStack } from './stack.ts';

interface Options {
  size: number;
  mongodbUri?: string;
  engine: string;
  corrupt: boolean;
  keep: boolean;
  json: boolean;
  report: string;
}

/** Budgets hold for the default size on two cores; a phase that takes longer is shown as late, not as failed. */
const PHASES: readonly PhasePlan[] = [
  { name: 'servers', title: 'Start the servers', budgetSeconds: 30 },
  { name: 'load', title: 'Load the chat data', budgetSeconds: 60 },
  { name: 'mongodb-backup', title: 'Back up', budgetSeconds: 60 },
  { name: 'list-backups', title: 'List the backups', budgetSeconds: 5 },
  { name: 'backup-validation', title: 'Validate the backup', budgetSeconds: 15 },
  { name: 'disaster', title: 'Disaster: drop the databases', budgetSeconds: 10 },
  { name: 'mongodb-restore', title: 'Restore', budgetSeconds: 90 },
  { name: 'backup-integrity-check', title: 'Prove it equal', budgetSeconds: 45 },
];

/** A step did not succeed; its kind decides the drill's exit code. */
class StepFailure extends UserError {
  override readonly kind: ErrorKind;
  constructor(kind: ErrorKind, message: string, fix: string | undefined) {
    super(message, fix === undefined ? {} : { fix });
    this.kind = kind;
  }
}

class Drill {
  readonly #options: Options;
  readonly #folder: string;
  readonly #logFile: string;
  readonly #lifecycle: Lifecycle;
  readonly #board: PhaseBoard;
  #stack: DrillStack | undefined;
  #data: LoadedDataset | undefined;
  #drYml = '';
  readonly #facts: Record<string, string> = {};

  constructor(options: Options) {
    this.#options = options;
    this.#folder = options.keep ? resolve('lifeboat-drill') : mkdtempSync(join(tmpdir(), 'lifeboat-drill-'));
    mkdirSync(this.#folder, { recursive: true });
    this.#logFile = join(this.#folder, 'drill.log');
    this.#lifecycle = new Lifecycle({
      tempRoot: tmpdir(),
      onCancel: () => {
        this.#board.log('Cancelling and cleaning up. Press Ctrl-C again to stop at once.');
      },
      onCrash: (message) => {
        this.#board.log(message);
      },
    });
    const phases = options.corrupt ? PHASES.toSpliced(6, 0, { name: 'corrupt', title: 'Flip one stored byte', budgetSeconds: 10 }) : PHASES;
    this.#board = new PhaseBoard({ phases });
  }

  /** Runs to the end and returns the process's exit code. */
  async run(): Promise<number> {
    let verdict: DrillVerdict = 'recovered';
    let exitCode: number = EXIT_CODES.succeeded;
    let failure: unknown;
    try {
      await this.#phases();
    } catch (thrown) {
      failure = thrown;
      const kind = this.#lifecycle.signal.aborted ? 'cancelled' : thrown instanceof UserError ? thrown.kind : 'failed';
      exitCode = EXIT_CODES[kind];
      verdict = kind === 'verification' ? 'refused' : (outcomeOf(kind) as DrillVerdict);
    }
    try {
      const reported = this.#show(this.#board.finish(verdict), failure);
      return reported || exitCode !== EXIT_CODES.succeeded ? exitCode : EXIT_CODES.failed;
    } finally {
      await this.#cleanUp();
    }
  }

  async #phases(): Promise<void> {
    const board = this.#board;
    const { signal } = this.#lifecycle;
    const stack = await board.run('servers', async (phase) => {
      this.#stack = await startStack(this.#folder, this.#options.mongodbUri);
      phase.note(this.#stack.mongo.description);
      return this.#stack;
    });
    process.env['DRILL_MONGODB_URI'] = stack.mongo.uri;
    Object.assign(this.#facts, {
      Database: stack.mongo.description,
      Store: `Azurite, ${stack.azurite.accountUrl}/${stack.container}`,
      Vault: `Key Vault simulator, ${stack.vault.url}`,
    });
    throwIfCancelled(signal);
    const data = await board.run('load', async (phase) => {
      const loaded = await loadDataset(stack.mongo.uri, {
        size: this.#options.size,
        signal,
        onProgress: ({ bytes, totalBytes }) => {
          phase.progress({ phase: 'Loading', done: bytes, total: totalBytes, unit: 'bytes' });
        },
      });
      phase.measured({ bytes: loaded.bytes, documents: loaded.documents });
      return loaded;
    });
    this.#data = data;
    this.#facts['Data'] =
      `${formatBytes(data.bytes)}, ${formatCount(data.documents)} documents in ${plural(data.collections, 'collection')} of ${plural(data.databases.length, 'database')}`;
    this.#drYml = writeDrYml(this.#folder, stack, data.databases);
    const backup = await this.#step('mongodb-backup', { engine: this.#options.engine });
    const timestamp = backup['timestamp'] as string;
    this.#facts['Backup'] = `${DRILL_NAME}/${DRILL_COMPONENT}/${timestamp}`;
    await this.#step('list-backups', { days: '7' });
    await this.#step('backup-validation', { type: 'mongodb' });
    await board.run('disaster', async (phase) => {
      await dropDatabases(stack.mongo.uri, data.databases);
      phase.note(`${plural(data.databases.length, 'database')} dropped`);
    });
    if (this.#options.corrupt) await board.run('corrupt', async (phase) => this.#corrupt(timestamp, phase));
    await this.#step('mongodb-restore', { engine: this.#options.engine, confirm: DRILL_NAME });
    const check = await this.#step('backup-integrity-check', {});
    if (check['equal'] !== 'true') throw new StepFailure('verification', 'The restored data is not equal to the backup.', undefined);
  }

  /** Runs a real step in its phase and returns its outputs. */
  async #step(name: string, inputs: Record<string, string>): Promise<Record<string, string>> {
    const step = findStep(name);
    const stack = this.#stack;
    if (!step || !stack) throw new Error(`${name} cannot run yet`);
    return this.#board.run(name, async (phase) => {
      const host = new DrillHost({
        inputs: { config: this.#drYml, ...(Object.hasOwn(step.inputs, 'azureClientId') ? stack.signIn : {}), ...inputs },
        phase,
        tempDir: this.#lifecycle.tempDir,
        signal: this.#lifecycle.signal,
        logFile: this.#logFile,
        say: (line) => {
          this.#board.log(line);
        },
      });
      const { outcome, error, warnings } = await runStep(step, host, { openConfig: drSource() });
      const bytes = Number(host.outputs['plainBytes'] ?? NaN);
      const documents = Number(host.outputs['documents'] ?? NaN);
      phase.measured({ ...(Number.isNaN(bytes) ? {} : { bytes }), ...(Number.isNaN(documents) ? {} : { documents }) });
      if (error) {
        if (error.stack !== undefined) this.#board.log(error.stack);
        throw new StepFailure(error.kind === 'bug' ? 'failed' : error.kind, error.message, error.fix);
      }
      if (outcome !== 'succeeded') throw new StepFailure('failed', `The step ended as ${outcome}: ${warnings.join(' ')}`, undefined);
      return host.outputs;
    });
  }

  /** Changes one byte in the middle of the stored data, as bit rot or an attacker would: metadata and length stay. */
  async #corrupt(timestamp: string, phase: PhaseRun): Promise<void> {
    const { azurite, container } = this.#stack as DrillStack;
    const name = `${DRILL_NAME}/${DRILL_COMPONENT}/${timestamp}/data`;
    const blob = new BlockBlobClient(`${azurite.accountUrl}/${container}/${name}`, azurite.credential);
    const { metadata } = await blob.getProperties();
    const bytes = await blob.downloadToBuffer();
    const offset = Math.floor(bytes.length / 2);
    bytes[offset] = (bytes[offset] as number) ^ 0x01;
    await blob.uploadData(bytes, metadata ? { metadata } : {});
    phase.note(`byte ${formatCount(offset)} of ${name}`);
  }

  /** @returns whether the page could be written */
  #show(result: DrillResult, failure: unknown): boolean {
    if (failure !== undefined && result.verdict !== 'cancelled') {
      process.stderr.write(`\n${errorMessage(failure)}\n`);
      if (failure instanceof UserError && failure.fix !== undefined) process.stderr.write(`${failure.fix}\n`);
      if (!(failure instanceof UserError) && failure instanceof Error) process.stderr.write(`${failure.stack ?? ''}\n`);
    }
    const page = reportPage(result, {
      title: `Lifeboat drill${this.#options.corrupt ? ', with one stored byte flipped' : ''}`,
      facts: this.#facts,
      footer: 'Made by ./scripts/drill: real steps, real SDKs, servers of its own.',
    });
    if (this.#options.json) process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
    try {
      writeFileSync(this.#options.report, page);
    } catch (thrown) {
      process.stderr.write(`The report could not be written: ${errorMessage(thrown)}\n`);
      return false;
    }
    process.stderr.write(`Report: ${this.#options.report}\n`);
    return true;
  }

  async #cleanUp(): Promise<void> {
    const { keep, mongodbUri } = this.#options;
    if (keep && this.#stack && !this.#lifecycle.signal.aborted) {
      const { mongo, azurite, vault } = this.#stack;
      process.stderr.write(
        `Kept: ${this.#folder} (dr.yml, drill.log, blobs). MongoDB ${mongo.uri}, blobs ${azurite.accountUrl}, vault ${vault.url}. Ctrl-C ends the servers.\n`,
      );
      await new Promise((done) => {
        this.#lifecycle.signal.addEventListener('abort', done, { once: true });
      });
    }
    // A database that was given gets back what it was: without the drill's databases.
    if (mongodbUri !== undefined && this.#data && !keep) await dropDatabases(mongodbUri, this.#data.databases).catch(() => undefined);
    await this.#stack?.stop();
    if (!keep) rmSync(this.#folder, { recursive: true, force: true });
  }
}

function parseOptions(args: readonly string[]): Options {
  const command = scriptCommand(
    'drill',
    'Loads a chat data set into a MongoDB, backs it up into Azurite and a Key Vault simulator with the real steps, drops the databases,\n' +
      'restores them and proves every digest, count and index equal. Exit code 0 only then.',
    [
      ['./scripts/drill', 'about two minutes'],
      ['./scripts/drill --size 1GiB --json', 'more data, the result as JSON'],
      ['./scripts/drill --corrupt; echo $?', 'a damaged backup is refused, with 4'],
    ],
  )
    .addOption(
      new Option('--size <size>', 'size of the data set').default(200 * 2 ** 20, '200MiB').argParser((text) => {
        const size = parseSize(text);
        if (size < 2 ** 20) throw new Error('expected at least 1MiB');
        return size;
      }),
    )
    .addOption(new Option('--mongodb-uri <uri>', 'a MongoDB to use instead of an embedded one; the drill touches only databases it makes'))
    .addOption(new Option('--engine <engine>', 'how to dump and restore').choices(['auto', 'tools', 'driver']).default('auto'))
    .option('--corrupt', 'flip one stored byte before the restore: it must refuse, with exit code 4', false)
    .option('--keep', 'keep the servers running and the files in ./lifeboat-drill at the end', false)
    .option('--json', 'print the result as JSON on standard output', false)
    .option('--report <file>', 'where to write the page', 'report.html');
  return parseScript(command, args).opts<Options>();
}

process.exitCode = await new Drill(parseOptions(process.argv.slice(2))).run();
await endProcess();
