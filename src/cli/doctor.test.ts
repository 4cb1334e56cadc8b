import { describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import { measureBackend } from './doctor/measure.ts';
import { findCompiler, isNodeSupported, listMissing } from './doctor/probe.ts';
import { describeMachine, machineText } from './shared/machine.ts';

describe('measureBackend', () => {
  it('measures every part with kernels as they are, on a small scale', async () => {
    const parts: string[] = [];
    const sizes = { stream: 40, product: 30, minSeconds: 0 };
    const measured = await measureBackend(createReferenceBackend(), (part) => parts.push(part), sizes);
    expect(parts).toEqual(['memory bandwidth', 'matrix product', 'top-K product']);
    for (const value of Object.values(measured)) expect(value).toBeGreaterThan(0);
    expect(measured.selectShare).toBeLessThan(1);
  });

  it('stops where the caller asks', async () => {
    const stop = (): void => {
      throw new Error('stopped');
    };
    const sizes = { stream: 8, product: 8, minSeconds: 0 };
    await expect(measureBackend(createReferenceBackend(), stop, sizes)).rejects.toThrow('stopped');
  });
});

describe('isNodeSupported', () => {
  it.each([
    ['18.20.4', false],
    ['20.11.0', false],
    ['20.19.0', true],
    ['21.7.0', false],
    ['22.11.0', false],
    ['22.12.0', true],
    ['24.0.1', true],
  ])('%s: %s', (version, supported) => expect(isNodeSupported(version)).toBe(supported));
});

describe('listMissing', () => {
  const working = (['native', 'wasm', 'reference'] as const).map((name) => ({ name, works: true, text: name }));

  it('is empty where everything is there', () => {
    expect(listMissing({ command: 'cc', version: '12' }, working)).toEqual([]);
  });

  it('says what to do about a backend and about the compiler', () => {
    const broken = { name: 'native', works: false, text: '[native] not built. Run `npm run build`.' } as const;
    const [backend, compiler] = listMissing(null, [broken, ...working.slice(1)]);
    expect(backend).toBe('not built. Run `npm run build`.');
    expect(compiler).toContain('no C compiler');
  });
});

describe('findCompiler', () => {
  it('takes $CC alone where it is set, and finds none where that does not run', async () => {
    const before = process.env.CC;
    process.env.CC = 'no-such-compiler-anywhere';
    try {
      expect(await findCompiler()).toBeNull();
    } finally {
      if (before === undefined) delete process.env.CC;
      else process.env.CC = before;
    }
  });
});

describe('describeMachine', () => {
  it('is one line of plain facts', () => {
    const machine = describeMachine();
    expect(machine.cores).toBeGreaterThan(0);
    expect(machine.memoryBytes).toBeGreaterThan(2 ** 20);
    expect(machineText(machine)).toMatch(/^.+, \d+ cores?, .+ [MGT]iB, .+, Node v\d+\./);
  });
});
