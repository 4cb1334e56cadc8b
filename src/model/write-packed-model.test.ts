/** Packed models as they are written: what a plain reader of the documented format finds in them, and what is never lost. */

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createPackedWorkspace, type PackedWorkspace } from '../../test/support/packed-workspace.ts';
import { readPlainPacked } from '../../test/support/plain-packed-reader.ts';
import { createTinyRun } from '../../test/support/tiny-checkpoint.ts';
import { Arena } from '../arena.ts';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import { checkPackedTarget } from '../formats/packed-directory.ts';
import { readSafetensorsHeader } from '../formats/safetensors.ts';
import { storedWeights, WEIGHT_TYPES, type WeightMatrix, weightScaleAt } from '../tensor/weight-matrix.ts';
import { FormatError, UsageError } from '../util/errors.ts';
import { loadModel, loadParameters } from './load-model.ts';
import type { PackOptions } from './pack-plan.ts';
import { packWeights } from './pack-weights.ts';
import { ffnsOf } from './weights.ts';

let workspace: PackedWorkspace;
beforeAll(() => {
  workspace = createPackedWorkspace();
});
afterAll(() => workspace.remove());

describe('a packed model', () => {
  const reference = createReferenceBackend();

  it('holds what a plain reader of the documented format finds, whatever the options', async () => {
    const options = fc.record({
      dtype: fc.constantFrom(...WEIGHT_TYPES),
      embeddingDtype: fc.constantFrom(undefined, ...WEIGHT_TYPES),
      headDtype: fc.constantFrom(undefined, ...WEIGHT_TYPES),
      layout: fc.constantFrom('fused' as const, 'channels' as const, ['channels', 'fused'] as const),
      group: fc.constantFrom(undefined, 7, 16, 100),
    });
    const property = fc.asyncProperty(options, async ({ group, ...chosen }) => {
      const pick: PackOptions = { ...chosen, groupRows: chosen.dtype === 'int8' ? group : undefined };
      const { path } = await workspace.pack(pick);
      const plain = readPlainPacked(join(path, 'model.safetensors'));
      expect(plain.damaged()).toEqual([]);
      expect(plain.metadata.step).toBe('7');
      const arena = new Arena(reference);
      const { embedding, head, layers, norm } = packWeights(
        workspace.run.model.config,
        workspace.parameters,
        pick,
        arena,
      );
      const named: Record<string, WeightMatrix> = { embedding, head };
      for (const [layer, { qkv, o, feedForward, attentionNorm }] of layers.entries()) {
        const { layout, subNorm, ...matrices } = ffnsOf(feedForward)[0];
        for (const [name, w] of Object.entries({ qkv, o, ...matrices })) named[`layers.${layer}.${name}`] = w;
        expect(plain.number(`layers.${layer}.attentionNorm`, 5)).toBe(attentionNorm.data[5]);
      }
      expect(plain.number('norm', 35)).toBe(norm.data[35]);
      expect(Object.keys(plain.matrices).sort()).toEqual(Object.keys(named).sort());
      for (const [name, w] of Object.entries(named)) {
        const stored = storedWeights(w);
        let differences = 0;
        for (let row = 0; row < w.rows; row++) {
          for (let col = 0; col < w.cols; col++) {
            const same = Object.is(plain.stored(name, row, col), stored(row, col));
            if (!same || plain.scaleAt(name, row, col) !== weightScaleAt(w, row, col)) differences++;
          }
        }
        expect(differences, name).toBe(0);
      }
    });
    await fc.assert(property, { numRuns: 8 });
  });

  it('of f32 is the checkpoint, bit by bit', async () => {
    const { path } = await workspace.pack({ dtype: 'f32' });
    const plain = readPlainPacked(join(path, 'model.safetensors'));
    for (const [name, { shape, data }] of workspace.parameters) {
      const at = (row: number, col: number) =>
        shape.length === 1 ? plain.number(name, col) : plain.weight(name, row, col);
      const cols = shape[shape.length - 1];
      const found = Float32Array.from({ length: data.length }, (_, i) => at(Math.floor(i / cols), i % cols));
      expect(Buffer.from(found.buffer).equals(Buffer.from(new Float32Array(data).buffer)), name).toBe(true);
    }
  });

  it('errs by what its report says, and by no more than the type allows', async () => {
    const { path, report } = await workspace.pack({ dtype: 'int8' });
    const plain = readPlainPacked(join(path, 'model.safetensors'));
    for (const { name, dtype, weights, largestError, relativeError } of report.matrices) {
      const { shape, data } = workspace.parameters.get(name)!;
      let [largest, squares, all, beyond] = [0, 0, 0, 0];
      for (let i = 0; i < data.length; i++) {
        const [row, col] = [Math.floor(i / shape[1]), i % shape[1]];
        const error = Math.abs(plain.weight(name, row, col) - data[i]);
        if (error > 0.50001 * plain.scaleAt(name, row, col)) beyond++;
        largest = Math.max(largest, error);
        squares += error ** 2;
        all += data[i] ** 2;
      }
      expect({ dtype, weights, beyond }).toEqual({ dtype: 'int8', weights: data.length, beyond: 0 });
      expect(largestError).toBeCloseTo(largest, 6);
      expect(relativeError).toBeCloseTo(Math.sqrt(squares / all), 5);
    }
    expect(report.fileBytes).toBe(readFileSync(join(path, 'model.safetensors')).length);
  });

  it('brings configuration, tokenizer and step along', async () => {
    const { path } = await workspace.pack({ dtype: 'bf16', headDtype: 'int8', layout: 'channels' });
    const model = loadModel(path, reference);
    const source = loadModel(workspace.run.directory, reference);
    expect(model.config).toEqual(source.config);
    expect(model.tokenizer).toEqual(source.tokenizer);
    expect(model.step).toBe(7);
    expect(model.packed).toBe(true);
    expect(model.dtypes).toEqual({ projections: ['bf16'], embedding: 'bf16', head: 'int8' });
    expect(source.packed).toBe(false);
    expect(source.dtypes).toEqual({ projections: ['f32'], embedding: 'f32', head: 'f32' });
  });

  it('has no parameters to train on, and says so', async () => {
    const { path } = await workspace.pack({ dtype: 'f32' });
    expect(() => loadModel(path, reference).parameters).toThrow(FormatError);
    expect(() => loadParameters(path, reference)).toThrow(
      /is a packed model: expected a checkpoint with f32 parameters/,
    );
    expect(loadParameters(workspace.run.directory, reference).parameters.get('norm')?.data).toEqual(
      workspace.parameters.get('norm')!.data,
    );
  });

  it('is found where a replacement was interrupted', async () => {
    const { path } = await workspace.pack({ dtype: 'int8' });
    const aside = join(workspace.directory, `.old-${path.slice(workspace.directory.length + 1)}`);
    mkdirSync(aside);
    for (const name of readdirSync(path)) writeFileSync(join(aside, name), readFileSync(join(path, name)));
    rmSync(path, { recursive: true });
    expect(loadModel(path, reference).packed).toBe(true);
  });
});

describe('writePackedModel', () => {
  it('stops when it is told to, and leaves nothing behind', async () => {
    const path = workspace.newPath();
    const controller = new AbortController();
    const seen: number[] = [];
    const writing = workspace.pack(
      {
        dtype: 'int8',
        signal: controller.signal,
        onProgress: (done, total) => {
          seen.push(done / total);
          if (done > total / 3) controller.abort();
        },
      },
      { path },
    );
    await expect(writing).rejects.toThrow(/abort/);
    expect(seen.length).toBeGreaterThan(1);
    expect(Math.max(...seen)).toBeLessThan(1);
    expect(existsSync(path)).toBe(false);
    expect(readdirSync(workspace.directory).filter((name) => name.startsWith('.tmp'))).toEqual([]);
  });

  it('says where a weight is not finite, and leaves nothing behind', async () => {
    const broken = createTinyRun();
    onTestFinished(() => broken.remove());
    const file = join(broken.directory, 'checkpoints/step-000007/model.safetensors');
    const bytes = readFileSync(file);
    bytes.writeFloatLE(
      Number.NaN,
      readSafetensorsHeader(file).tensors.get('layers.1.gateUp')!.byteOffset + 4 * (128 + 5),
    );
    writeFileSync(file, bytes);
    const before = readdirSync(workspace.directory);
    await expect(workspace.pack({ dtype: 'ternary' }, { from: broken })).rejects.toThrow(
      'layers.1.gateUp: row 1, column 5 is NaN',
    );
    expect(readdirSync(workspace.directory)).toEqual(before);
    const { path } = await workspace.pack({ dtype: 'bf16' }, { from: broken });
    expect(existsSync(path)).toBe(true);
  });

  it('reports every weight once', async () => {
    const { report } = await workspace.pack({ dtype: 'ternary', layout: 'channels' });
    const weights = report.matrices.reduce((sum, matrix) => sum + matrix.weights, 0);
    expect(weights + report.unpackedBytes / 4).toBe(
      [...workspace.parameters.values()].reduce((sum, { data }) => sum + data.length, 0),
    );
  });
});

describe('checkPackedTarget', () => {
  it('lets nothing be lost', async () => {
    const [empty, file, full] = [workspace.newPath(), workspace.newPath(), workspace.newPath()];
    mkdirSync(empty);
    writeFileSync(file, '');
    mkdirSync(full);
    writeFileSync(join(full, 'config.json'), '{}');
    const { path: packed } = await workspace.pack({ dtype: 'int8' });
    const { path: more } = await workspace.pack({ dtype: 'int8' });
    writeFileSync(join(more, 'notes.txt'), '');
    for (const replace of [false, true]) {
      expect(() => checkPackedTarget(workspace.newPath(), replace)).not.toThrow();
      expect(() => checkPackedTarget(empty, replace)).not.toThrow();
      expect(() => checkPackedTarget(file, replace)).toThrow(/is a file/);
      for (const path of [
        full,
        more,
        workspace.run.directory,
        join(workspace.run.directory, 'checkpoints/step-000007'),
      ]) {
        expect(() => checkPackedTarget(path, replace)).toThrow(UsageError);
        expect(() => checkPackedTarget(path, replace)).toThrow(/exists and is no packed model/);
      }
    }
    expect(() => checkPackedTarget(packed, false)).toThrow(/exists: .*--force/);
    expect(() => checkPackedTarget(packed, true)).not.toThrow();
  });

  it('replaces a packed model where it is told to', async () => {
    const { path } = await workspace.pack({ dtype: 'int8' });
    const again = (replace: boolean) => workspace.pack({ dtype: 'bf16', replace }, { path });
    await expect(again(false)).rejects.toThrow(/ENOTEMPTY.*intact/);
    expect(loadModel(path, createReferenceBackend()).dtypes.projections).toEqual(['int8']);
    await again(true);
    expect(loadModel(path, createReferenceBackend()).dtypes.projections).toEqual(['bf16']);
  });
});
