/** Packed models as they are read: on every backend, mapped and not, beyond 4 GB, and damaged in every way that there is. */

import {
  appendFileSync,
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createBuiltBackend, missingReason } from '../../test/conformance/built-backends.ts';
import { createPackedWorkspace, type PackedWorkspace } from '../../test/support/packed-workspace.ts';
import { readPlainPacked } from '../../test/support/plain-packed-reader.ts';
import { Arena } from '../arena.ts';
import type { Backend } from '../backend.ts';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import { encodePackedMetadata, isPadding, type PackedMatrix } from '../formats/packed-metadata.ts';
import { readSafetensorsHeader } from '../formats/safetensors.ts';
import { encodeHeader, type TensorInfo } from '../formats/safetensors-header.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { storedWeights, WEIGHT_TYPES, type WeightMatrix, weightRowBytes } from '../tensor/weight-matrix.ts';
import { FormatError } from '../util/errors.ts';
import type { ModelConfig } from './config.ts';
import { loadModel } from './load-model.ts';
import { type PackOptions, planPacking } from './pack-plan.ts';
import { packWeights } from './pack-weights.ts';
import { describeUnpacked } from './packed-matrices.ts';
import { windowsOf } from './read-packed-weights.ts';
import { resolveConfig } from './resolve-config.ts';
import { ffnsOf, type ModelWeights } from './weights.ts';

let workspace: PackedWorkspace;
beforeAll(() => {
  workspace = createPackedWorkspace();
});
afterAll(() => workspace.remove());

/** Everything that a model's weights consist of, as bytes without the gaps between rows. */
function contentOf({ embedding, head, layers, norm }: ModelWeights): Record<string, unknown> {
  const content: Record<string, unknown> = { embedding: matrix(embedding), head: matrix(head), norm: [...norm.data] };
  for (const [layer, { attentionNorm, ffnNorm, qkv, o, feedForward }] of layers.entries()) {
    const { layout, subNorm, ...matrices } = ffnsOf(feedForward)[0];
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
      const { path } = await workspace.pack(options);
      const expected = contentOf(
        packWeights(workspace.run.model.config, workspace.parameters, options, new Arena(createReferenceBackend())),
      );
      const arena = new Arena(backend);
      expect(contentOf(packWeights(workspace.run.model.config, workspace.parameters, options, arena))).toEqual(
        expected,
      );
      arena.free();
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
    const { path } = await workspace.pack({ dtype: 'bf16', layout: 'channels' });
    const model = loadModel(path, backend);
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
  return [embedding, qkv, ...ffnsOf(feedForward).map(({ down }) => down)]
    .flatMap(({ data, scale }) => [data, ...(scale ? [scale] : [])])
    .concat(norm, ffnNorm);
}

describe.skipIf(missingReason('native') !== null)('a mapped model', () => {
  it('is shared by two backends, and survives the other one and what JavaScript writes to it', async () => {
    const [one, two] = [await createBuiltBackend('native', 1), await createBuiltBackend('native', 1)];
    const { path } = await workspace.pack({ dtype: 'int8' });
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

describe.skipIf(missingReason('native') !== null)('a model beyond 4 GB', () => {
  it('opens without being read', async () => {
    // Two f32 tables of 2.3 GB, as holes in a file. Numbers are there at the ends of both.
    const config = resolveConfig({
      ...{ dim: 2048, hiddenDim: 64, nLayers: 1, nHeads: 1, headDim: 2, vocabSize: 280_000, tiedEmbeddings: false },
    });
    const path = workspace.newPath();
    writeSparseModel(path, config);
    const backend = await createBuiltBackend('native', 1);
    const before = process.memoryUsage.rss();
    const model = loadModel(path, backend);
    expect(model.bytes).toBeGreaterThan(4 * 2 ** 30);
    for (const table of [model.weights.embedding, model.weights.head]) {
      expect(table.rowBytes).toBe(8256);
      const stored = storedWeights(table);
      expect([stored(0, 0), stored(279_999, 2047)]).toEqual([1, 2]);
    }
    expect([...model.weights.norm.data].every((x) => x === 0)).toBe(true);
    expect(process.memoryUsage.rss() - before).toBeLessThan(200 * 2 ** 20);
    model.dispose();
    backend.dispose();
    rmSync(path, { recursive: true });
  });
});

/** An f32 model of zeros that takes no room on the disk, its tables with a 1 at the beginning and a 2 at the end. */
function writeSparseModel(path: string, config: ModelConfig): void {
  const planned = planPacking(config, { dtype: 'f32' });
  const tensors = planned
    .map(({ name, rows, rowBytes }) => ({
      name,
      dtype: 'U8' as const,
      shape: [rows, rowBytes],
      bytes: rows * rowBytes,
    }))
    .concat(
      describeUnpacked(config).map(({ name, shape }) => ({
        name,
        dtype: 'F32' as never,
        shape: [...shape],
        bytes: 4 * shape[0],
      })),
    );
  const matrices = planned.map(({ matrices: [{ name, rows, cols, tensor }] }): [string, PackedMatrix] => {
    const place = { dtype: 'f32', rows, cols, tensor, firstByte: 0 } as const;
    return [name, { ...place, scale: null, scaleAxis: 'cols', groupRows: rows }];
  });
  const sha256 = new Map(tensors.map(({ name }) => [name, '0'.repeat(64)]));
  const metadata = encodePackedMetadata({ step: 1, matrices: new Map(matrices), sha256 });
  const header = encodeHeader(tensors, metadata, 'model.safetensors', 4096);
  mkdirSync(path);
  writeFileSync(join(path, 'tokenizer.json'), '{}');
  writeFileSync(join(path, 'config.json'), JSON.stringify({ formatVersion: 1, ...config }));
  const file = openSync(join(path, 'model.safetensors'), 'w');
  writeSync(file, header, 0, header.length, 0);
  let end = header.length;
  for (const { name, bytes } of tensors) {
    if (name === 'embedding' || name === 'head') {
      writeSync(file, Buffer.from(Float32Array.of(1).buffer), 0, 4, end);
      writeSync(file, Buffer.from(Float32Array.of(2).buffer), 0, 4, end + bytes - 64 - 4);
    }
    end += bytes;
  }
  ftruncateSync(file, end);
  closeSync(file);
}

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
    const { path } = await workspace.pack({ dtype: 'int8' });
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
