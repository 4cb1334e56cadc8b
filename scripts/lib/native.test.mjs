import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findBf16Set } from './native.mjs';

describe('the unit with bf16 products', () => {
  let folder;
  /** A compiler that takes everything but arguments of this pattern of the shell. */
  const compilerThatRefuses = (pattern) => {
    const file = path.join(folder, `cc-${Math.random()}`);
    writeFileSync(file, `#!/bin/sh\ncase "$*" in ${pattern}) echo unrecognized option >&2; exit 1 ;; esac\n`);
    chmodSync(file, 0o755);
    return file;
  };
  beforeAll(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'qsparse-native-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('is compiled where the compiler takes its flags', async () => {
    const modern = compilerThatRefuses('nothing');
    expect(await findBf16Set(modern, 'x64')).toMatchObject({ name: 'avx512bf16', define: '-DHAVE_AVX512BF16' });
    expect(await findBf16Set(modern, 'arm64')).toMatchObject({ name: 'neonbf16', define: '-DHAVE_NEONBF16' });
  });

  it('is left out where the compiler is too old, does not run, or the architecture has none', async () => {
    expect(await findBf16Set(compilerThatRefuses('*-mavx512bf16*'), 'x64')).toBeUndefined();
    expect(await findBf16Set(compilerThatRefuses('*+bf16*'), 'arm64')).toBeUndefined();
    expect(await findBf16Set(path.join(folder, 'missing'), 'x64')).toBeUndefined();
    expect(await findBf16Set(compilerThatRefuses('nothing'), 'riscv64')).toBeUndefined();
  });
});
