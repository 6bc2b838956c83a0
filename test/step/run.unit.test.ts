// One step on one host: inputs, origins, confirmation, outcomes and exit codes.
import { describe, expect, test } from '@jest/globals';
import { MemoryHost, type MemoryHostOptions } from '../../shared/hosts/memory.ts';
import { defineStep, type AnyStep, type InputSpecs, type StepContext, type StepReturn } from '../../shared/step/define.ts';
import { CancelledError, EXIT_CODES, RefusedError, UsageError, UserError, VerificationError } from '../../shared/step/errors.ts';
import { input, kebabCase } from '../../shared/step/input.ts';
import { runStep, type ConfigSource } from '../../shared/step/run.ts';

type Run = (context: StepContext<InputSpecs, string>) => Promise<StepReturn | undefined>;

const INPUTS = {
  store: input.string({ summary: 'Where backups lie.', example: '/mnt/backups', config: 'store', required: true }),
  retentionDays: input.integer({ summary: 'How long.', default: '7', config: 'days' }),
  password: input.secret({ summary: 'The password.', config: 'password', renamedFrom: ['pass'] }),
  backupId: input.string({ summary: 'Which backup.', renamedFrom: ['id'] }),
  verify: input.choice(['full', 'none'], { summary: 'How much.' }),
};

function stepOf(inputs: InputSpecs, run: Run, extra: Partial<Pick<AnyStep, 'effects' | 'check'>> = {}): AnyStep {
  const definition = {
    name: 'probe-step',
    title: 'Probe',
    summary: 'A probe.',
    description: '',
    effects: 'reads' as const,
    outputs: {},
    examples: [],
  };
  return defineStep({ ...definition, ...extra, inputs, run });
}

/** A memory host that spells inputs as GitHub and the terminal do. */
class KebabHost extends MemoryHost {
  override spell(name: string): string {
    return kebabCase(name);
  }
  override givenInputs(): string[] {
    return super.givenInputs().map(kebabCase);
  }
}

async function attempt(step: AnyStep, options: MemoryHostOptions = {}, config?: Record<string, string | Error>) {
  const host = new KebabHost(options);
  const source: ConfigSource = {
    label: 'dr.yml',
    lookup: (path) => {
      const value = config?.[path];
      if (value instanceof Error) throw value;
      return value;
    },
  };
  const finish = await runStep(step, host, config ? { openConfig: async () => ({ source }) } : {});
  expect(host.finished).toBe(finish);
  return { host, finish, error: finish.error };
}

const nothing: Run = async () => undefined;

describe('inputs', () => {
  test('all problems are told together, in the spelling of the host', async () => {
    const { finish, error } = await attempt(stepOf(INPUTS, nothing), { inputs: { retentionDays: 'week', verify: 'Full', id: '3' } });
    expect(finish).toMatchObject({ outcome: 'failed', exitCode: 2 });
    expect(error?.message).toBe(
      [
        '4 problems with the inputs:',
        '- id is now called backup-id: rename it.',
        '- store is missing. Where backups lie. Example: /mnt/backups',
        '- retention-days is "week": expected a whole number, such as 7.',
        '- verify is "Full": expected one of: full, none.',
      ].join('\n'),
    );
    expect(error?.fix).toBe('See the inputs of probe-step in the README.');
  });

  test('a single problem stands alone', async () => {
    expect((await attempt(stepOf(INPUTS, nothing))).error?.message).toBe('store is missing. Where backups lie. Example: /mnt/backups');
  });

  test.each([
    ['there is none', undefined, 'No dr.yml was found: is the repository checked out? See the inputs of probe-step in the README.'],
    ['it does not say', { label: 'dr.yml', lookup: () => undefined }, 'See the inputs of probe-step in the README.'],
  ])('when dr.yml could have said what is missing, but %s, the fix tells', async (_why, source, fix) => {
    expect(
      (await runStep(stepOf(INPUTS, nothing), new KebabHost(), { openConfig: async () => (source ? { source } : {}) })).error?.fix,
    ).toBe(fix);
  });

  test('what the host cannot read is one problem among the others', async () => {
    class UnfilledHost extends KebabHost {
      override rawInput(name: string): string | undefined {
        if (name === 'password') throw new UsageError('password is $(PASSWORD): there is no such variable.', { fix: 'Define it.' });
        return super.rawInput(name);
      }
    }
    const { error } = await runStep(stepOf(INPUTS, nothing), new UnfilledHost());
    expect(error?.message.split('\n').slice(1)).toEqual([
      '- store is missing. Where backups lie. Example: /mnt/backups',
      '- password is $(PASSWORD): there is no such variable. Define it.',
    ]);
  });

  test('a problem with a value of dr.yml names the file; one of a secret does not show it', async () => {
    const picky = {
      ...INPUTS,
      password: {
        ...INPUTS.password,
        parse: () => {
          throw new Error('expected something longer');
        },
      },
    };
    const { error, host } = await attempt(stepOf(picky, nothing), { inputs: { store: 'a', password: 'hunter2' } }, { days: 'x' });
    expect(error?.message).toContain('retention-days is "x" (from dr.yml): expected a whole number, such as 7.');
    expect(error?.message).toContain('password is ***: expected something longer.');
    expect(JSON.stringify([error, host.log])).not.toContain('hunter2');
  });

  test('what dr.yml cannot resolve is one problem among the others', async () => {
    const { error } = await attempt(
      stepOf(INPUTS, nothing),
      { inputs: { verify: 'x' } },
      { store: new UsageError('STORE is not set.', { fix: 'Set it.' }) },
    );
    expect(error?.message).toBe('2 problems with the inputs:\n- STORE is not set. Set it.\n- verify is "x": expected one of: full, none.');
  });

  test('an input wins over dr.yml, dr.yml over the default; an empty text is not given', async () => {
    const seen: unknown[] = [];
    const run: Run = async (context) => {
      seen.push(
        { ...context.inputs },
        Object.keys(INPUTS).map((name) => context.origin(name)),
      );
      return undefined;
    };
    await attempt(stepOf(INPUTS, run), { inputs: { store: 'given', retentionDays: '', verify: '' } }, { store: 'configured', days: '30' });
    await attempt(stepOf(INPUTS, run), { inputs: { store: 'given' } });
    expect(seen).toEqual([
      { store: 'given', retentionDays: 30 },
      ['input', 'dr.yml', 'absent', 'absent', 'absent'],
      { store: 'given', retentionDays: 7 },
      ['input', 'default', 'absent', 'absent', 'absent'],
    ]);
  });

  test('where each value came from is in the debug log, the values are not', async () => {
    const { host } = await attempt(stepOf(INPUTS, nothing), { inputs: { store: 'given' } }, { days: '30' });
    expect(host.log.filter((line) => line.startsWith('debug: Input'))).toEqual([
      'debug: Input store: given',
      'debug: Input retention-days: from dr.yml (days)',
      'debug: Input password: not given',
      'debug: Input backup-id: not given',
      'debug: Input verify: not given',
    ]);
  });

  test('the record of inputs cannot be changed', async () => {
    const { error } = await attempt(
      stepOf(INPUTS, async ({ inputs }) => {
        (inputs as Record<string, unknown>)['store'] = 'other';
        return undefined;
      }),
      { inputs: { store: 'given' } },
    );
    expect(error).toMatchObject({ kind: 'bug', message: expect.stringContaining('read only') });
  });

  test('secrets are masked before anything else happens, whole and per line, also those of dr.yml and of an old name', async () => {
    const order: string[] = [];
    class RecordingHost extends KebabHost {
      override mask(secret: string): void {
        order.push('mask');
        super.mask(secret);
      }
    }
    const host = new RecordingHost({ inputs: { store: 's', password: 'line one\nline two' } });
    await runStep(stepOf(INPUTS, nothing), host, {
      openConfig: async () => {
        order.push('open');
        return {};
      },
    });
    expect(order.slice(0, 2)).toEqual(['mask', 'open']);
    expect(host.masked).toEqual(expect.arrayContaining(['line one\nline two', 'line one', 'line two']));
    expect((await attempt(stepOf(INPUTS, nothing), { inputs: { store: 's' } }, { password: 'from file' })).host.masked).toContain(
      'from file',
    );
    expect((await attempt(stepOf(INPUTS, nothing), { inputs: { store: 's', pass: 'old name' } })).host.masked).toContain('old name');
  });
});

describe('rules across inputs', () => {
  const check: NonNullable<AnyStep['check']> = (inputs, spell) => [
    ...((inputs['retentionDays'] as number) < 1 ? [`${spell('retentionDays')} is too small.`] : []),
    ...((inputs['store'] as string).startsWith('/') ? [] : [`${spell('store')} is not absolute.`]),
    ...(inputs['verify'] === undefined ? [`${spell('verify')} goes with ${spell('backupId')}.`] : []),
  ];

  test('are told together with problems of single inputs, but not about inputs that are wrong already', async () => {
    const { error } = await attempt(stepOf(INPUTS, nothing, { check }), { inputs: { store: 'x', retentionDays: '0', verify: 'ful' } });
    expect(error?.message.split('\n').slice(1)).toEqual([
      '- verify is "ful": expected one of: full, none.',
      '- retention-days is too small.',
      '- store is not absolute.',
    ]);
  });

  test('know a wrong input by the name its host gives it, of several words, too', async () => {
    class WordyHost extends KebabHost {
      override spell(name: string): string {
        return name === 'password' ? 'PASSWORD (or --password-file)' : super.spell(name);
      }
    }
    const missing = new UsageError('dr.yml:3:5 refers to ${env:P}, but that environment variable is not set.');
    const step = stepOf(INPUTS, nothing, {
      check: (inputs, spell) => [
        ...(inputs['password'] === undefined ? [`${spell('password')} is missing.`] : []),
        `${spell('store')}-sas is another input.`,
      ],
    });
    const { error } = await runStep(step, new WordyHost(), {
      openConfig: async () => ({
        source: {
          label: 'dr.yml',
          lookup: (path) => {
            if (path === 'password') throw missing;
            return undefined;
          },
        },
      }),
    });
    expect(error?.message.split('\n').slice(1)).toEqual([
      '- store is missing. Where backups lie. Example: /mnt/backups',
      `- ${missing.message}`,
      '- store-sas is another input.',
    ]);
  });

  test('that rely on an input that is missing wait for it', async () => {
    expect((await attempt(stepOf(INPUTS, nothing, { check }), { inputs: { retentionDays: '0' } })).error?.message).toMatch(
      /^store is missing\./,
    );
  });

  test('that break with right inputs are a bug', async () => {
    const broken = (): string[] => {
      throw new TypeError('broken rule');
    };
    expect((await attempt(stepOf(INPUTS, nothing, { check: broken }), { inputs: { store: 'x' } })).error).toMatchObject({ kind: 'bug' });
  });
});

describe('outcomes and exit codes', () => {
  test.each<[what: string, run: Run, outcome: string, exitCode: number]>([
    ['nothing special', nothing, 'succeeded', 0],
    ['no doubts', async () => ({ doubts: [] }), 'succeeded', 0],
    ['a doubt', async () => ({ doubts: ['The dump is empty.'] }), 'partial', 3],
    ['something outside', async () => Promise.reject(new UserError('The store is down.')), 'failed', 1],
    ['bad usage', async () => Promise.reject(new UsageError('No such store.')), 'failed', 2],
    ['bad data', async () => Promise.reject(new VerificationError('Digest differs.')), 'failed', 4],
    ['a guard', async () => Promise.reject(new RefusedError('Not empty.')), 'refused', 5],
    ['a cancel', async () => Promise.reject(new CancelledError()), 'cancelled', 130],
    ['a bug', async () => Promise.reject(new TypeError('x is not a function')), 'failed', 1],
  ])('%s', async (_what, run, outcome, exitCode) => {
    const { finish } = await attempt(stepOf({}, run));
    expect([finish.outcome, finish.exitCode]).toEqual([outcome, exitCode]);
  });

  test('every exit code is told apart', () => {
    expect(new Set(Object.values(EXIT_CODES)).size).toBe(Object.keys(EXIT_CODES).length);
  });

  test('doubts are warnings, and the result is kept beside them', async () => {
    const { host, finish } = await attempt(stepOf({}, async () => ({ doubts: ['One.', 'Two.'], result: { documents: 0 } })));
    expect(host.log).toEqual(['warning: One.', 'warning: Two.']);
    expect(finish).toEqual({ outcome: 'partial', exitCode: 3, warnings: ['One.', 'Two.'], result: { documents: 0 } });
  });

  test('an expected failure has no stack; its causes are in the debug log, a circle of them does not hang', async () => {
    const cause = new Error('socket hang up');
    cause.cause = cause;
    const { host, error } = await attempt(
      stepOf({}, async () => Promise.reject(new UserError('The store is down.', { fix: 'Wait.', cause }))),
    );
    expect(error).toEqual({ kind: 'failed', message: 'The store is down.', fix: 'Wait.' });
    expect(host.log.filter((line) => line.includes('socket hang up'))).toHaveLength(1);
  });

  test.each([[new TypeError('boom')], ['boom']])('a bug says that it is ours: %p', async (thrown) => {
    const { error } = await attempt(
      stepOf({}, async () => {
        // Anything can be thrown.
        // eslint-disable-next-line @typescript-eslint/only-throw-error
        throw thrown;
      }),
    );
    expect(error).toMatchObject({ kind: 'bug', message: 'Unexpected error: boom', fix: expect.stringContaining('report') });
    expect(error?.stack !== undefined).toBe(thrown instanceof Error);
  });

  test('outputs are texts', async () => {
    const { host } = await attempt(
      stepOf({}, async (context) => {
        context.setOutput('documents', 12);
        return undefined;
      }),
    );
    expect(host.outputs).toEqual({ documents: '12' });
  });
});

describe('cancel', () => {
  test.each<[string, Error, string]>([
    ['an ordinary failure', new UserError('The child was killed.'), 'cancelled'],
    ['a bug', new TypeError('stream closed'), 'cancelled'],
    ['a refusal', new RefusedError('No.'), 'refused'],
  ])('after it, %s is the outcome of the cancel', async (_what, thrown, outcome) => {
    const controller = new AbortController();
    const run: Run = async () => {
      controller.abort();
      return Promise.reject(thrown);
    };
    expect((await attempt(stepOf({}, run), { signal: controller.signal })).finish.outcome).toBe(outcome);
  });

  test('what was thrown after it stays in the debug log', async () => {
    const { host } = await attempt(
      stepOf({}, async () => Promise.reject(new Error('EPIPE'))),
      { signal: AbortSignal.abort() },
    );
    expect(host.log).toContain('debug: Thrown after the cancel: EPIPE');
  });
});

describe('confirmDestruction', () => {
  const plan = {
    title: 'Restore orders',
    facts: [
      ['Target', 'rs0/db1'],
      ['Backup', '20241201_120000'],
    ] as [string, string][],
    losses: ['orders: 12 documents'],
    confirmation: 'shop',
  };
  const touched: boolean[] = [];
  const destroy: Run = async (context) => {
    touched.push(await context.confirmDestruction(plan));
    return undefined;
  };
  const step = stepOf({}, destroy, { effects: 'destroys' });
  const confirm = async (options: MemoryHostOptions) => {
    touched.length = 0;
    const result = await attempt(step, options);
    return { ...result, touched: [...touched] };
  };

  test('a destroying step has the inputs confirm, dry-run and reason', () => {
    expect(Object.keys(step.inputs)).toEqual(['confirm', 'dryRun', 'reason']);
  });

  test('the plan is shown first', async () => {
    const { host, touched: went } = await confirm({ inputs: { confirm: 'shop' } });
    expect(went).toEqual([true]);
    expect(host.log.filter((line) => line.startsWith('info:'))).toEqual([
      'info: Restore orders',
      'info:   Target  rs0/db1',
      'info:   Backup  20241201_120000',
      'info:   ! orders: 12 documents',
    ]);
  });

  test('a dry run stops after the plan, even with a right confirmation', async () => {
    const { finish, touched: went, host } = await confirm({ inputs: { dryRun: 'true', confirm: 'shop' } });
    expect([went, finish.outcome]).toEqual([[false], 'succeeded']);
    expect(host.log).toContain('notice: Dry run: nothing was touched.');
  });

  test.each<[string, MemoryHostOptions, string]>([
    ['no answer', {}, 'Not confirmed: confirm is missing. No data was touched.'],
    ['an empty answer', { answer: '' }, 'Not confirmed: confirm is missing. No data was touched.'],
    [
      'another name',
      { inputs: { confirm: 'shop-staging' } },
      'The confirmation "shop-staging" does not match "shop". No data was touched.',
    ],
    [
      'a right answer to a wrong input',
      { inputs: { confirm: 'Shop' }, answer: 'shop' },
      'The confirmation "Shop" does not match "shop". No data was touched.',
    ],
  ])('%s is refused', async (_what, options, message) => {
    const { finish, touched: went } = await confirm(options);
    expect([went, finish.exitCode]).toEqual([[], 5]);
    expect(finish.error).toMatchObject({ message, fix: 'Look at the plan. If it is what you want, set confirm to shop.' });
  });

  test('a person may type it, with a blank at the end', async () => {
    expect((await confirm({ answer: 'shop ' })).touched).toEqual([true]);
  });

  test('Ctrl-C at the question is a cancel, not a refusal', async () => {
    const { finish, touched: went } = await confirm({ signal: AbortSignal.abort() });
    expect([went, finish.exitCode]).toEqual([[], 130]);
  });
});

describe('defineStep', () => {
  test('refuses names that one of the hosts cannot spell', () => {
    expect(() => stepOf({ 'backup-id': input.string({ summary: 'x' }) }, nothing)).toThrow('probe-step: "backup-id" is not camelCase');
  });
});
