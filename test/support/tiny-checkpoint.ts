/**
 * A complete checkpoint of a tiny model with random weights, and the means to run the command line on it.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createReferenceBackend } from '../../src/backends/reference/reference-backend.ts';
import { saveCheckpoint } from '../../src/formats/checkpoint-directory.ts';
import type { TensorData } from '../../src/formats/safetensors.ts';
import { type ModelConfigInput, resolveConfig } from '../../src/model/resolve-config.ts';
import { Transformer } from '../../src/model/transformer.ts';
import { trainBpe } from '../../src/tokenizer/train-bpe.ts';

const TEXT = 'The quick brown fox jumps over the lazy dog. The dog sleeps; the fox runs. '.repeat(8);

/** Where the built command lies; tests that start it as a process are skipped without it. */
export const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
export const mainMissing = existsSync(MAIN) ? null : `skipped, the command is not built: ${MAIN}`;

export interface TinyRun {
  directory: string;
  model: Transformer;
  remove(): void;
}

/** A run directory whose one checkpoint holds `model`: f32 on the reference backend, about 290 tokens, context 64. */
export function createTinyRun(overrides: Partial<ModelConfigInput> = {}): TinyRun {
  const tokenizer = trainBpe([TEXT], { vocabSize: 290 });
  const config = resolveConfig({
    dim: 32,
    hiddenDim: 64,
    nLayers: 2,
    nHeads: 2,
    vocabSize: 290,
    seqLen: 64,
    sparsity: 0.5,
    ...overrides,
  });
  const model = Transformer.create(config, createReferenceBackend(), { seed: 4 });
  // Weights of 0.02 make all logits nearly equal; larger ones make a text of its own, the same on every backend. Biases begin as 0.
  for (const { value, biasOf } of model.parameters) {
    for (let i = 0; i < value.data.length; i++) value.data[i] = biasOf ? Math.sin(i) : value.data[i] * 6;
  }
  const directory = mkdtempSync(join(tmpdir(), 'qsparse-run-'));
  saveCheckpoint(directory, {
    step: 7,
    keepLast: 1,
    best: true,
    files: {
      config,
      tokenizer,
      state: {},
      optimizer: [],
      model: model.parameters.map(({ name, value }) => ({
        name,
        dtype: 'F32',
        shape: value.shape,
        data: value.data as TensorData,
      })),
    },
  });
  return { directory, model, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

export interface CommandResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs `qsparse ...args` as a process of its own. `onFirstOutput` sees it after the first of stdout, `onError` after each piece of stderr, with all of it so far. */
export function runCommand(
  args: readonly string[],
  options: {
    input?: string;
    onFirstOutput?: (child: ChildProcess) => void;
    onError?: (child: ChildProcess, stderr: string) => void;
  } = {},
): Promise<CommandResult> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: 'pipe' });
  const result: CommandResult = { code: null, stdout: '', stderr: '' };
  child.stdout.on('data', (data: Buffer) => {
    if (result.stdout === '') options.onFirstOutput?.(child);
    result.stdout += data.toString();
  });
  child.stderr.on('data', (data: Buffer) => {
    result.stderr += data.toString();
    options.onError?.(child, result.stderr);
  });
  child.stdin.on('error', () => {}); // a command that fails early closes it
  child.stdin.end(options.input ?? '');
  return new Promise((resolve) => child.on('close', (code) => resolve({ ...result, code })));
}
