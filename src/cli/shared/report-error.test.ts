import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { captureStream } from '../../../test/support/capture-stream.ts';
import { DivergenceError } from '../../train/divergence-error.ts';
import { FormatError, UsageError } from '../../util/errors.ts';
import { createProgram } from '../program.ts';
import { reportError } from './report-error.ts';

beforeEach(() => {
  vi.stubEnv('QSPARSE_DEBUG', '');
});
afterEach(() => {
  vi.unstubAllEnvs();
});

/** What a command line prints on stderr, and the code it ends with. */
async function fail(...args: string[]): Promise<{ code: number; text: string }> {
  const stderr = captureStream();
  const program = await createProgram(args);
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    return { code: reportError(error, program, stderr), text: stderr.text() };
  }
  throw new Error('did not fail');
}

describe('wrong usage', () => {
  it('of a command is one line with the nearest name', async () => {
    expect(await fail('repot')).toEqual({
      code: 2,
      text: "error: unknown command 'repot'. Did you mean report? See qsparse --help.\n",
    });
  });

  it('of an option is one line with the nearest name and the help of that command', async () => {
    expect(await fail('report', 'x', '--thread', '1')).toEqual({
      code: 2,
      text: "error: unknown option '--thread'. Did you mean --threads? See qsparse report --help.\n",
    });
  });

  it('of a command of a command looks there', async () => {
    const { text } = await fail('bench', 'decod');
    expect(text).toBe("error: unknown command 'decod'. Did you mean decode? See qsparse bench --help.\n");
    const option = await fail('bench', 'decode', '--sparsty', '0');
    expect(option.text).toContain('Did you mean --sparsity? See qsparse bench decode --help.');
  });

  it('of an argument names what is missing', async () => {
    const { code, text } = await fail('report');
    expect(code).toBe(2);
    expect(text).toBe("error: missing required argument 'run'. See qsparse report --help.\n");
  });

  it('of a value ends with 2 too', async () => {
    const { code, text } = await fail('report', 'x', '--threads', 'two');
    expect(code).toBe(2);
    expect(text).toBe('error: [--threads] expected a whole number of at least 1, got "two".\n');
  });
});

describe('reportError', () => {
  it('prints an error of the user in one line and ends with its code', () => {
    const stderr = captureStream();
    expect(reportError(new FormatError('checkpoint', 'broken.\n  Make it anew.'), undefined, stderr)).toBe(1);
    expect(stderr.text()).toBe('error: [checkpoint] broken. Make it anew.\n');
    expect(reportError(new UsageError('preset', 'unknown'), undefined, captureStream())).toBe(2);
    expect(reportError(new DivergenceError('train', 'step 3'), undefined, captureStream())).toBe(3);
  });

  it('takes help for wrong usage where a command of a command is missing', async () => {
    const program = await createProgram(['bench']);
    vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const error = await program.parseAsync(['bench'], { from: 'user' }).catch((reason: unknown) => reason);
    vi.restoreAllMocks();
    expect(reportError(error, program, captureStream())).toBe(2);
  });

  it('asks for a report of anything else', () => {
    const stderr = captureStream();
    expect(reportError(new TypeError('x is undefined'), undefined, stderr)).toBe(1);
    expect(stderr.text()).toMatch(/^error: unexpected: TypeError: x is undefined\. Please report it.*\n$/);
    expect(reportError('a string', undefined, captureStream())).toBe(1);
  });

  it('adds the stack for QSPARSE_DEBUG=1', () => {
    vi.stubEnv('QSPARSE_DEBUG', '1');
    const stderr = captureStream();
    reportError(new UsageError('preset', 'unknown', { cause: new Error('below') }), undefined, stderr);
    expect(stderr.text()).toContain('report-error.test.ts');
    expect(stderr.text()).toContain('caused by Error: below');
  });
});
