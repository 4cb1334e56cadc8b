/** Packed models from end to end: a checkpoint is packed, read by a plain reader and by every backend, damaged and refused. */

import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createBuiltBackend, missingReason } from '../../test/conformance/built-backends.ts';
import { readPlainPacked } from '../../test/support/plain-packed-reader.ts';
import { createTinyRun, type TinyRun } from '../../test/support/tiny-checkpoint.ts';
import { Arena } from '../arena.ts';
import type { Backend } from '../backend.ts';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import { type Checkpoint, findCheckpoint, readCheckpoint } from '../formats/checkpoint-directory.ts';
import { checkPackedTarget } from '../formats/packed-directory.ts';
import { isPadding } from '../formats/packed-metadata.ts';
import { readSafetensorsHeader } from '../formats/safetensors.ts';
import type { TensorInfo } from '../formats/safetensors-header.ts';
import type { FloatTensor, Tensor } from '../tensor/tensor.ts';
import {
  storedWeights,
  WEIGHT_TYPES,
  type WeightMatrix,
  weightRowBytes,
  weightScaleAt,
} from '../tensor/weight-matrix.ts';
import { FormatError, UsageError } from '../util/errors.ts';
import { loadModel, loadParameters } from './load-model.ts';
import type { PackOptions } from './pack-plan.ts';
import { packWeights } from './pack-weights.ts';
import { windowsOf } from './read-packed-weights.ts';
import type { ModelWeights } from './weights.ts';
import { type WritePackedOptions, writePackedModel } from './write-packed-model.ts';

let directory: string;
let run: TinyRun;
let parameters: Map<string, FloatTensor>;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'qsparse-pack-'));
  // No extent is a multiple of a line: gaps everywhere.
  run = createTinyRun({ dim: 36, hiddenDim: 52, nHeads: 3, nKvHeads: 1, headDim: 10, tiedEmbeddings: false });
  parameters = new Map(run.model.parameters.map(({ name, value }) => [name, value]));
});
afterAll(() => {
  rmSync(directory, { recursive: true });
  run.remove();
});

let count = 0;
const newPath = () => join(directory, `packed-${count++}`);

async function pack(options: WritePackedOptions, from = run): Promise<string> {
  const path = newPath();
  await withCheckpoint(from, (checkpoint) => writePackedModel(checkpoint, path, options));
  return path;
}

async function withCheckpoint<T>(from: TinyRun, body: (checkpoint: Checkpoint) => Promise<T>): Promise<T> {
  const checkpoint = readCheckpoint(findCheckpoint(from.directory, 'best'));
  try {
    return await body(checkpoint);
  } finally {
    checkpoint.close();
  }
}

/** Everything that a model's weights consist of, as bytes without the gaps between rows. */
function contentOf({ embedding, head, layers, norm }: ModelWeights): Record<string, unknown> {
  const content: Record<string, unknown> = { embedding: matrix(embedding), head: matrix(head), norm: [...norm.data] };
  for (const [layer, { attentionNorm, ffnNorm, qkv, o, feedForward }] of layers.entries()) {
    const { layout, ...matrices } = feedForward;
    const named = Object.entries({ qkv, o, ...matrices }).map(([name, w]) => [name, matrix(w)]);
    const norms = { attentionNorm: [...attentionNorm.data], ffnNorm: [...ffnNorm.data] };
    content[layer] = { layout, ...Object.fromEntries(named), ...norms };
  }
  return content;
}

function matrix({ data, scale, rows, cols, rowBytes, dtype, ...rest }: WeightMatrix) {
  const bytes = Array.from({ length: rows }, (_, row) =>
    Buffer.from(data.data.slice(row * rowBytes, row * rowBytes + weightRowBytes(dtype, cols))).toString('base64'),
  );
  return { dtype, rows, cols, rowBytes, bytes, scale: scale && [...scale.data], ...rest };
}

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
      const path = await pack(pick);
      const plain = readPlainPacked(join(path, 'model.safetensors'));
      expect(plain.damaged()).toEqual([]);
      expect(plain.metadata.step).toBe('7');
      const arena = new Arena(reference);
      const { embedding, head, layers, norm } = packWeights(run.model.config, parameters, pick, arena);
      const named: Record<string, WeightMatrix> = { embedding, head };
      for (const [layer, { qkv, o, feedForward, attentionNorm }] of layers.entries()) {
        const { layout, ...matrices } = feedForward;
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
    const plain = readPlainPacked(join(await pack({ dtype: 'f32' }), 'model.safetensors'));
    for (const [name, { shape, data }] of parameters) {
      const at = (row: number, col: number) =>
        shape.length === 1 ? plain.number(name, col) : plain.weight(name, row, col);
      const cols = shape[shape.length - 1];
      const found = Float32Array.from({ length: data.length }, (_, i) => at(Math.floor(i / cols), i % cols));
      expect(Buffer.from(found.buffer).equals(Buffer.from(new Float32Array(data).buffer)), name).toBe(true);
    }
  });

  it('errs by what its report says, and by no more than the type allows', async () => {
    const path = newPath();
    const report = await withCheckpoint(run, (checkpoint) => writePackedModel(checkpoint, path, { dtype: 'int8' }));
    const plain = readPlainPacked(join(path, 'model.safetensors'));
    for (const { name, dtype, weights, largestError, relativeError } of report.matrices) {
      const { shape, data } = parameters.get(name)!;
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
    const model = loadModel(await pack({ dtype: 'bf16', headDtype: 'int8', layout: 'channels' }), reference);
    const source = loadModel(run.directory, reference);
    expect(model.config).toEqual(source.config);
    expect(model.tokenizer).toEqual(source.tokenizer);
    expect(model.step).toBe(7);
    expect(model.packed).toBe(true);
    expect(model.dtypes).toEqual({ projections: ['bf16'], embedding: 'bf16', head: 'int8' });
    expect(source.packed).toBe(false);
    expect(source.dtypes).toEqual({ projections: ['f32'], embedding: 'f32', head: 'f32' });
  });

  it('has no parameters to train on, and says so', async () => {
    const path = await pack({ dtype: 'f32' });
    expect(() => loadModel(path, reference).parameters).toThrow(FormatError);
    expect(() => loadParameters(path, reference)).toThrow(
      /is a packed model: expected a checkpoint with f32 parameters/,
    );
    expect(loadParameters(run.directory, reference).parameters.get('norm')?.data).toEqual(parameters.get('norm')!.data);
  });

  it('is found where a replacement was interrupted', async () => {
    const path = await pack({ dtype: 'int8' });
    const aside = join(directory, `.old-${path.slice(directory.length + 1)}`);
    mkdirSync(aside);
    for (const name of readdirSync(path)) writeFileSync(join(aside, name), readFileSync(join(path, name)));
    rmSync(path, { recursive: true });
    expect(loadModel(path, reference).packed).toBe(true);
  });
});

const TARGETS: [string, string | null, () => Backend | Promise<Backend>][] = [
  ['reference', null, () => createReferenceBackend()],
  ['native', missingReason('native'), () => createBuiltBackend('native', 1)],
  ['wasm', missingReason('wasm'), () => createBuiltBackend('wasm', 1)],
];

describe.each(TARGETS)('a packed model on %s', (name, missing, create) => {
  it.skipIf(missing !== null)('is what packing in memory gives, mapped or read', async () => {
    const backend = await create();
    onTestFinished(() => backend.dispose());
    expect(backend.mapFile !== undefined).toBe(name === 'native');
    for (const dtype of WEIGHT_TYPES) {
      const options: PackOptions = { dtype, layout: ['channels', 'fused'] };
      const path = await pack(options);
      const expected = contentOf(
        packWeights(run.model.config, parameters, options, new Arena(createReferenceBackend())),
      );
      for (const mmap of [true, false]) {
        const model = loadModel(path, backend, { mmap });
        expect(contentOf(model.weights)).toEqual(expected);
        for (const { address, data } of tensorsOf(model.weights)) {
          if (name !== 'reference') expect(address % 64).toBe(0);
          expect(data.byteLength).toBeGreaterThan(0);
        }
        expect(model.bytes).toBeGreaterThan(0);
        model.dispose();
        model.dispose();
      }
    }
  });

  it.skipIf(missing !== null)('multiplies as the weights do', async () => {
    const backend = await create();
    onTestFinished(() => backend.dispose());
    const model = loadModel(await pack({ dtype: 'bf16', layout: 'channels' }), backend);
    const { feedForward } = model.weights.layers[1];
    if (feedForward.layout !== 'channels') throw new Error('the layout is not as asked for');
    const arena = new Arena(backend);
    const [x, out] = [arena.tensor('f32', [1, 36]), arena.tensor('f32', [1, 52])];
    x.data[3] = 2;
    backend.kernels.weightDots(x, feedForward.up, out);
    const stored = storedWeights(feedForward.up);
    expect([...out.data]).toEqual(Array.from({ length: 52 }, (_, h) => Math.fround(2 * stored(h, 3))));
    arena.free();
    model.dispose();
  });
});

function tensorsOf({ embedding, layers, norm }: ModelWeights): Tensor[] {
  const { qkv, feedForward, ffnNorm } = layers[0];
  return [embedding, qkv, feedForward.down]
    .flatMap(({ data, scale }) => [data, ...(scale ? [scale] : [])])
    .concat(norm, ffnNorm);
}

describe.skipIf(missingReason('native') !== null)('a mapped model', () => {
  it('is shared by two backends, and survives the other one and what JavaScript writes to it', async () => {
    const [one, two] = [await createBuiltBackend('native', 1), await createBuiltBackend('native', 1)];
    const path = await pack({ dtype: 'int8' });
    const [a, b] = [loadModel(path, one), loadModel(path, two)];
    const before = contentOf(b.weights);
    a.weights.layers[0].qkv.data.data.fill(0);
    a.dispose();
    one.dispose();
    expect(contentOf(b.weights)).toEqual(before);
    expect(readPlainPacked(join(path, 'model.safetensors')).damaged()).toEqual([]);
    rmSync(path, { recursive: true });
    expect(contentOf(b.weights)).toEqual(before);
    b.dispose();
    expect(b.weights.layers[0].qkv.data.data.length).toBe(0);
    two.dispose();
  });
});

describe('windowsOf', () => {
  const tensor = (name: string, byteOffset: number, bytes: number): TensorInfo => {
    return { name, dtype: 'U8', shape: [bytes], byteOffset, bytes };
  };

  it('joins neighbours up to a size, keeps a larger tensor alone, leaves out padding and nothing else', () => {
    const tensors = [
      tensor('a', 100, 40),
      tensor('padding.1', 140, 10),
      tensor('b', 150, 50),
      tensor('c', 200, 300),
      tensor('d', 500, 1),
      tensor('empty', 501, 0),
      tensor('e', 501, 99),
      tensor('padding.5', 600, 3),
    ];
    const found = windowsOf(tensors, 100).map(({ begin, end, tensors: inside }) => [
      begin,
      end,
      inside.map(({ name }) => name).join(),
    ]);
    expect(found).toEqual([
      [100, 200, 'a,b'],
      [200, 500, 'c'],
      [500, 600, 'd,e'],
    ]);
    expect(windowsOf(tensors).map(({ begin, end }) => [begin, end])).toEqual([[100, 600]]);
  });
});

describe('what is no packed model of its configuration', () => {
  const reference = createReferenceBackend();
  const load = (path: string) => () => loadModel(path, reference);

  /** A packed model, its file changed by hand. */
  async function damaged(change: (file: string, tensors: ReadonlyMap<string, TensorInfo>) => void): Promise<string> {
    const path = await pack({ dtype: 'int8' });
    const file = join(path, 'model.safetensors');
    change(file, readSafetensorsHeader(file).tensors);
    return path;
  }
  /** The header changed in place, to the same length: names and numbers of equal length. */
  const inHeader = (from: string, to: string) => (file: string) => {
    const bytes = readFileSync(file);
    const text = bytes.toString('latin1');
    expect(text).toContain(from);
    expect(to.length).toBe(from.length);
    writeFileSync(file, Buffer.from(text.replaceAll(from, to), 'latin1'));
  };
  const withConfig = (changes: object) => (file: string) => {
    const path = join(file, '..', 'config.json');
    writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), ...changes }));
  };

  it.each<[string, (file: string, tensors: ReadonlyMap<string, TensorInfo>) => void, RegExp]>([
    [
      'one bit changed',
      (file, tensors) => {
        const bytes = readFileSync(file);
        bytes[tensors.get('layers.1.o')!.byteOffset + 3] ^= 8;
        writeFileSync(file, bytes);
      },
      /model\.safetensors: tensor "layers\.1\.o" at byte \d+: expected the sha256 .*, found /,
    ],
    ['cut short', (file) => truncateSync(file, 9000), /model\.safetensors: tensor "embedding" leaves the file/],
    ['too long', (file) => appendFileSync(file, 'x'), /model\.safetensors: .*expected nothing behind them/],
    ['no file', (file) => rmSync(file), /cannot read .*model\.safetensors/],
    [
      'of another model',
      withConfig({ hiddenDim: 64 }),
      /tensor "layers\.0\.gateUp" at byte \d+: expected "layers\.0\.gateUp" of \[36, 128\], found \[36, 104\]\. Does config/,
    ],
    ['with too few layers', withConfig({ nLayers: 3 }), /at byte 8: expected the matrix "layers\.2\.qkv"/],
    ['with too many layers', withConfig({ nLayers: 1 }), /the matrix "layers\.1\.qkv" is none of its config\.json/],
    [
      'with a version of the future in config.json',
      withConfig({ formatVersion: 2 }),
      /expected formatVersion 1, found 2/,
    ],
    ['with an unknown field in config.json', withConfig({ windowSize: 3 }), /unknown field "windowSize"/],
    [
      'with a norm of another name',
      inHeader('layers.1.ffnNorm', 'layers.1.ffnMorn'),
      /expected the tensor "layers\.1\.ffnNorm", found none/,
    ],
    [
      'with a matrix of another name',
      inHeader('layers.1.o', 'layers.1.x'),
      /expected the matrix "layers\.1\.o" of its config\.json/,
    ],
    [
      'with scales by the other axis',
      inHeader(
        '"scale\\":\\"head.scale\\",\\"scaleAxis\\":\\"rows\\"',
        '"scale\\":\\"head.scale\\",\\"scaleAxis\\":\\"cols\\"',
      ),
      /tensor "head\.scale" at byte \d+: expected F32 \[1, 36\]/,
    ],
    [
      'of the future',
      inHeader('"formatVersion":"1"', '"formatVersion":"2"'),
      /expected formatVersion "1", found "2"\. Use the version/,
    ],
    [
      'of another format',
      inHeader('"qsparse-packed"', '"qsparse-bagged"'),
      /expected state\.json beside it .* or the metadata of a packed model/,
    ],
  ])('%s is refused', async (_, change, message) => {
    const path = await damaged(change);
    expect(load(path)).toThrow(FormatError);
    expect(load(path)).toThrow(message);
  });

  it('is found by a hash also in a file that is too large to be hashed by default, where that is asked for', async () => {
    const path = await damaged((file, tensors) => {
      const bytes = readFileSync(file);
      bytes[tensors.get('norm')!.byteOffset] ^= 1;
      writeFileSync(file, bytes);
    });
    expect(() => loadModel(path, reference, { verify: false }).dispose()).not.toThrow();
    expect(() => loadModel(path, reference, { verify: true })).toThrow(
      /tensor "norm" at byte \d+: expected the sha256/,
    );
  });

  it('is not one for what lies in the gaps between tensors', async () => {
    const gaps: TensorInfo[] = [];
    const path = await damaged((file, tensors) => {
      gaps.push(...[...tensors.values()].filter(({ name }) => isPadding(name)));
      const bytes = readFileSync(file);
      for (const { byteOffset, bytes: count } of gaps) bytes.fill(0xff, byteOffset, byteOffset + count);
      writeFileSync(file, bytes);
    });
    expect(gaps.length).toBeGreaterThan(0);
    expect(() => loadModel(path, reference, { verify: true }).dispose()).not.toThrow();
  });
});

describe('writePackedModel', () => {
  it('stops when it is told to, and leaves nothing behind', async () => {
    const path = newPath();
    const controller = new AbortController();
    const seen: number[] = [];
    const writing = withCheckpoint(run, (checkpoint) =>
      writePackedModel(checkpoint, path, {
        dtype: 'int8',
        signal: controller.signal,
        onProgress: (done, total) => {
          seen.push(done / total);
          if (done > total / 3) controller.abort();
        },
      }),
    );
    await expect(writing).rejects.toThrow(/abort/);
    expect(seen.length).toBeGreaterThan(1);
    expect(Math.max(...seen)).toBeLessThan(1);
    expect(existsSync(path)).toBe(false);
    expect(readdirSync(directory).filter((name) => name.startsWith('.tmp'))).toEqual([]);
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
    const before = readdirSync(directory);
    await expect(pack({ dtype: 'ternary' }, broken)).rejects.toThrow('layers.1.gateUp: row 1, column 5 is NaN');
    expect(readdirSync(directory)).toEqual(before);
    expect(existsSync(await pack({ dtype: 'bf16' }, broken))).toBe(true);
  });

  it('reports every weight once', async () => {
    const path = newPath();
    const report = await withCheckpoint(run, (checkpoint) =>
      writePackedModel(checkpoint, path, { dtype: 'ternary', layout: 'channels' }),
    );
    const weights = report.matrices.reduce((sum, matrix) => sum + matrix.weights, 0);
    expect(weights + report.normBytes / 4).toBe(
      [...parameters.values()].reduce((sum, { data }) => sum + data.length, 0),
    );
  });
});

describe('checkPackedTarget', () => {
  it('lets nothing be lost', async () => {
    const [empty, file, full] = [newPath(), newPath(), newPath()];
    mkdirSync(empty);
    writeFileSync(file, '');
    mkdirSync(full);
    writeFileSync(join(full, 'config.json'), '{}');
    const packed = await pack({ dtype: 'int8' });
    const more = await pack({ dtype: 'int8' });
    writeFileSync(join(more, 'notes.txt'), '');
    for (const replace of [false, true]) {
      expect(() => checkPackedTarget(newPath(), replace)).not.toThrow();
      expect(() => checkPackedTarget(empty, replace)).not.toThrow();
      expect(() => checkPackedTarget(file, replace)).toThrow(/is a file/);
      for (const path of [full, more, run.directory, join(run.directory, 'checkpoints/step-000007')]) {
        expect(() => checkPackedTarget(path, replace)).toThrow(UsageError);
        expect(() => checkPackedTarget(path, replace)).toThrow(/exists and is no packed model/);
      }
    }
    expect(() => checkPackedTarget(packed, false)).toThrow(/exists: .*--force/);
    expect(() => checkPackedTarget(packed, true)).not.toThrow();
  });

  it('replaces a packed model where it is told to', async () => {
    const path = await pack({ dtype: 'int8' });
    const again = (replace: boolean) =>
      withCheckpoint(run, (checkpoint) => writePackedModel(checkpoint, path, { dtype: 'bf16', replace }));
    await expect(again(false)).rejects.toThrow(/ENOTEMPTY.*intact/);
    expect(loadModel(path, createReferenceBackend()).dtypes.projections).toEqual(['int8']);
    await again(true);
    expect(loadModel(path, createReferenceBackend()).dtypes.projections).toEqual(['bf16']);
  });
});
