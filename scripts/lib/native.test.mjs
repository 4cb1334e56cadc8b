import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findNewerSets } from './native.mjs';

describe('the units of newer instruction sets', () => {
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

  const namesOf = async (compiler, arch) => (await findNewerSets(compiler, arch)).map(({ name }) => name);

  it('are compiled where the compiler takes their flags', async () => {
    const modern = compilerThatRefuses('nothing');
    expect(await namesOf(modern, 'x64')).toEqual(['avx512bf16']);
    expect(await namesOf(modern, 'arm64')).toEqual(['neondotprod', 'neonbf16']);
  });

  it('are left out where the compiler is too old, does not run, or the architecture has none', async () => {
    expect(await namesOf(compilerThatRefuses('*-mavx512bf16*'), 'x64')).toEqual([]);
    expect(await namesOf(compilerThatRefuses('*+bf16*'), 'arm64')).toEqual(['neondotprod']);
    expect(await namesOf(compilerThatRefuses('*+dotprod*'), 'arm64')).toEqual([]);
    expect(await namesOf(path.join(folder, 'missing'), 'x64')).toEqual([]);
    expect(await namesOf(compilerThatRefuses('nothing'), 'riscv64')).toEqual([]);
  });
});
