/**
 * qsparse with `--precision bf16` on an x64 processor without bf16 instructions: node scripts/imitate-bf16.mjs train --precision bf16 ...
 *
 * Shows what bf16 does to a training, not how fast it is. The AVX2 kernels take products in bf16 as every unit without the instruction
 * does: operands rounded to bf16, each pair multiplied and summed in f32 (kernels/bf16.h). The program refuses that, because it is
 * slower than f32; so this runs a copy of dist/ beside an addon that has the instruction set `avx2bf16`.
 */

import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { buildNative } from './lib/native.mjs';
import { execute, inRoot, main } from './lib/project.mjs';
import { linkSpecialAddon } from './lib/special-addon.mjs';

await main(async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'imitate-bf16-'));
  try {
    await buildNative();
    await linkSpecialAddon(folder, { dispatchFlags: ['-DBF16_WITH_AVX2'] });
    for (const name of ['dist', 'package.json', 'recipes']) {
      cpSync(inRoot(name), path.join(folder, name), { recursive: true });
    }
    symlinkSync(inRoot('node_modules'), path.join(folder, 'node_modules'));
    const env = { ...process.env, QSPARSE_ISA: 'avx2bf16' };
    const program = path.join(folder, 'dist/cli/main.js');
    const given = process.argv.slice(2);
    const { code } = await execute(process.execPath, [program, ...given], { live: true, cwd: process.cwd(), env });
    process.exitCode = code;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
