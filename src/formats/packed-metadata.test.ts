import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WEIGHT_TYPES, weightRowBytes } from '../tensor/weight-matrix.ts';
import { FormatError } from '../util/errors.ts';
import {
  encodePackedMetadata,
  isPacked,
  type PackedDescription,
  type PackedMatrix,
  parsePackedMetadata,
} from './packed-metadata.ts';
import { encodeHeader, LENGTH_BYTES, parseHeader, type TensorInfo } from './safetensors-header.ts';

type Planned = Omit<TensorInfo, 'byteOffset'>;
interface Model {
  tensors: Planned[];
  metadata: Record<string, string>;
}

const u8 = (name: string, rows: number, rowBytes: number): Planned => {
  return { name, dtype: 'U8', shape: [rows, rowBytes], bytes: rows * rowBytes };
};
const f32 = (name: string, ...shape: number[]): Planned => {
  return { name, dtype: 'F32', shape, bytes: 4 * shape.reduce((product, extent) => product * extent, 1) };
};
const int8 = (fields: Partial<PackedMatrix> = {}): PackedMatrix => ({
  ...{ dtype: 'int8', rows: 8, cols: 48, tensor: 'q', firstByte: 0, scale: 'q.scale', scaleAxis: 'cols', groupRows: 8 },
  ...fields,
});

/** A small sound file: an int8 matrix and two bf16 ones that share their rows. */
function model(): { tensors: Planned[]; matrices: Record<string, PackedMatrix> } {
  const plain = { dtype: 'bf16', rows: 4, cols: 20, scale: null, scaleAxis: 'cols', groupRows: 4 } as const;
  return {
    tensors: [u8('q', 8, 64), u8('both', 4, 128), f32('q.scale', 1, 48), f32('norm', 16)],
    matrices: {
      q: int8(),
      up: { ...plain, tensor: 'both', firstByte: 0 },
      down: { ...plain, tensor: 'both', firstByte: 64 },
    },
  };
}

function describeModel(matrices: Record<string, PackedMatrix>, tensors: readonly Planned[]): PackedDescription {
  const sha256 = new Map(tensors.map(({ name }, i) => [name, String(i % 10).repeat(64)]));
  return { step: 7, matrices: new Map(Object.entries(matrices)), sha256 };
}

/** Writes a header and reads it again as a file would be. */
function parse({ tensors, metadata }: Model): PackedDescription {
  const header = encodeHeader(tensors, metadata, 'm.safetensors', 4096);
  const bytes = tensors.reduce((sum, tensor) => sum + tensor.bytes, header.length);
  return parsePackedMetadata(parseHeader(header.subarray(LENGTH_BYTES), bytes, 'm.safetensors'), 'm.safetensors');
}

function parseMatrices(matrices: Record<string, unknown>, tensors: readonly Planned[] = model().tensors) {
  const { metadata } = sound();
  const sha256 = JSON.stringify(Object.fromEntries(tensors.map(({ name }) => [name, '0'.repeat(64)])));
  return parse({ tensors: [...tensors], metadata: { ...metadata, sha256, matrices: JSON.stringify(matrices) } });
}

function sound(): Model {
  const { tensors, matrices } = model();
  return { tensors, metadata: encodePackedMetadata(describeModel(matrices, tensors)) };
}

describe('packed metadata', () => {
  it('come back as they were written', () => {
    const { tensors, matrices } = model();
    const description = describeModel(matrices, tensors);
    expect(parse({ tensors, metadata: encodePackedMetadata(description) })).toEqual(description);
  });

  it('come back for any shape, type, group and place', () => {
    const shapes = fc.record({
      dtype: fc.constantFrom(...WEIGHT_TYPES),
      rows: fc.integer({ min: 1, max: 40 }),
      cols: fc.integer({ min: 1, max: 500 }),
      lines: fc.integer({ min: 0, max: 3 }),
      byRow: fc.boolean(),
      group: fc.integer({ min: 1, max: 40 }),
      name: fc.string({ minLength: 1 }).filter((name) => !/^(__|padding)/.test(name)),
    });
    fc.assert(
      fc.property(shapes, ({ dtype, rows, cols, lines, byRow, group, name }) => {
        const scaled = dtype === 'int8' || dtype === 'ternary';
        const groupRows = dtype === 'int8' && !byRow ? Math.min(group, rows) : rows;
        const firstByte = 64 * lines;
        const rowBytes = firstByte + 64 * Math.ceil(weightRowBytes(dtype, cols) / 64);
        const scale = scaled ? `${name}.scale` : null;
        const scaleAxis = scaled && byRow ? 'rows' : 'cols';
        const matrix: PackedMatrix = { dtype, rows, cols, tensor: name, firstByte, scale, scaleAxis, groupRows };
        const scales = byRow ? [rows] : [Math.ceil(rows / groupRows), cols];
        const tensors = [u8(name, rows, rowBytes), ...(scale === null ? [] : [f32(scale, ...scales)])];
        const description = describeModel({ [name]: matrix }, tensors);
        expect(parse({ tensors, metadata: encodePackedMetadata(description) })).toEqual(description);
      }),
      { numRuns: 40 },
    );
  });

  it('tell a packed file from a checkpoint of training', () => {
    const header = { tensors: new Map(), dataOffset: 8 };
    expect(isPacked({ ...header, metadata: sound().metadata })).toBe(true);
    expect(isPacked({ ...header, metadata: { format: 'qsparse' } })).toBe(false);
    expect(isPacked({ ...header, metadata: {} })).toBe(false);
  });
});

describe('hostile metadata', () => {
  const withMetadata = (change: Record<string, string | undefined>) => () => {
    const { tensors, metadata } = sound();
    const changed = Object.entries({ ...metadata, ...change }).filter(([, value]) => value !== undefined);
    return parse({ tensors, metadata: Object.fromEntries(changed) as Record<string, string> });
  };
  const withMatrix = (change: Record<string, unknown>) => () =>
    parseMatrices({ ...model().matrices, q: { ...int8(), ...change } });
  const withTensors = (change: Record<string, Planned | null>) => () => {
    const tensors = model().tensors.flatMap((tensor) => {
      const changed = change[tensor.name];
      return changed === null ? [] : [changed ?? tensor];
    });
    // The others keep the form in which they are written: no scale beside bf16.
    const { up, down } = model().matrices;
    const plain = ({ scale, scaleAxis, groupRows, ...place }: PackedMatrix) => place;
    return parseMatrices({ q: int8(), up: plain(up), down: plain(down) }, tensors);
  };
  const hash = (text: string | null) => JSON.stringify({ q: text, both: '0'.repeat(64), 'q.scale': '1'.repeat(64) });

  it.each<[string, () => unknown, RegExp]>([
    [
      'of another format',
      withMetadata({ format: 'pt' }),
      /at byte 8: expected the metadata format "qsparse-packed", found "pt"/,
    ],
    ['without a format', withMetadata({ format: undefined }), /found nothing/],
    ['of the future', withMetadata({ formatVersion: '2' }), /expected formatVersion "1", found "2"\. Use the version/],
    ['without a version', withMetadata({ formatVersion: undefined }), /expected formatVersion "1", found nothing/],
    [
      'without matrices',
      withMetadata({ matrices: undefined }),
      /at byte 8: expected the metadata matrices, found none/,
    ],
    ['that are no JSON', withMetadata({ matrices: '{' }), /at byte 8: expected the metadata matrices in JSON/],
    ['that are an array', withMetadata({ matrices: '[]' }), /expected a JSON object, found \[\]/],
    ['with a matrix twice', withMetadata({ matrices: '{"q":{},"q":{}}' }), /key "q" twice/],
    ['with a step of -1', withMetadata({ step: '-1' }), /the metadata step to be a whole number, found "-1"/],
    ['with a step of 1e400', withMetadata({ step: '9'.repeat(400) }), /step to be a whole number/],
    ['without hashes', withMetadata({ sha256: undefined }), /expected the metadata sha256, found none/],
    ['with a cut hash', withMetadata({ sha256: hash('abc') }), /tensor "q" at byte 4096: .*64 digits, found "abc"/],
    ['with a hash too few', withMetadata({ sha256: '{}' }), /tensor "q" at byte 4096: .*found nothing/],
    ['with a matrix of null', () => parseMatrices({ q: null }), /matrix "q": expected an object, found null/],
    ['with an unknown type', withMatrix({ dtype: 'int4' }), /matrix "q": expected a dtype of .*, found "int4"/],
    ['with an inherited type', withMatrix({ dtype: 'toString' }), /found "toString"/],
    ['without rows', withMatrix({ rows: 0 }), /rows and cols of at least 1, found \[0,48\]/],
    ['with half a column', withMatrix({ cols: 47.5 }), /rows and cols of at least 1/],
    ['with too many columns', withMatrix({ cols: 2 ** 40 }), /rows and cols of at least 1/],
    [
      'with other rows than stored',
      withMatrix({ rows: 9, groupRows: 9 }),
      /tensor "q" at byte 4096: expected U8 \[9, .*\] of the matrix "q", found U8 \[8, 64\]/,
    ],
    [
      'with rows that are too short',
      withMatrix({ cols: 65 }),
      /tensor "q" at byte 4096: expected rows of at least 65 bytes, for 65 int8 weights of "q" from byte 0 on, found U8 \[8, 64\]/,
    ],
    ['with a tensor that is not there', withMatrix({ tensor: 'x' }), /matrix "q": there is no tensor "x"/],
    ['with a tensor that is inherited', withMatrix({ tensor: '__proto__' }), /there is no tensor "__proto__"/],
    ['with a number for a tensor', withMatrix({ tensor: 1 }), /the name of its tensor, found 1/],
    ['that begins beside a line', withMatrix({ firstByte: 4 }), /a firstByte that is a multiple of 64, found 4/],
    ['that begins before its rows', withMatrix({ firstByte: -64 }), /a firstByte that is a multiple of 64/],
    ['that begins behind its rows', withMatrix({ firstByte: 64 }), /rows of at least 112 bytes/],
    ['that begins far behind its rows', withMatrix({ firstByte: 2 ** 53 - 64 }), /rows of at least/],
    [
      'with int8 weights without scales',
      withMatrix({ scale: undefined }),
      /the name of the scales beside int8, found nothing/,
    ],
    ['with scales beside bf16', withMatrix({ dtype: 'bf16', cols: 20 }), /no scale beside bf16, found "q.scale"/],
    ['with scales that are not there', withMatrix({ scale: 'y' }), /there is no tensor "y"/],
    [
      'with scales that are bytes',
      withMatrix({ scale: 'both' }),
      /tensor "both" at byte 4608: expected F32 \[1, 48\], the scales of the matrix "q", found U8/,
    ],
    [
      'with scales by the wrong axis',
      withMatrix({ scaleAxis: 'rows' }),
      /tensor "q.scale" at byte 5120: expected F32 \[8\].*, found F32 \[1, 48\]/,
    ],
    ['with scales by no axis', withMatrix({ scaleAxis: 'diagonal' }), /a scaleAxis of rows or cols/],
    ['with groups of 0', withMatrix({ groupRows: 0 }), /groupRows of 1 to 8, found 0/],
    ['with groups beyond the rows', withMatrix({ groupRows: 9 }), /groupRows of 1 to 8, found 9/],
    ['with too few scales for its groups', withMatrix({ groupRows: 3 }), /expected F32 \[3, 48\]/],
    ['with groups of ternary weights', withMatrix({ dtype: 'ternary', groupRows: 4 }), /one group, found 4/],
    ['with groups of scales by row', withMatrix({ scaleAxis: 'rows', groupRows: 4 }), /one group, found 4/],
    [
      'over rows that are no lines',
      withTensors({ q: u8('q', 8, 60) }),
      /tensor "q" at byte 4096: expected rows of a multiple of 64 bytes, found U8 \[8, 60\]/,
    ],
    ['over rows of f32', withTensors({ q: f32('q', 8, 16) }), /expected U8 \[8, .*found F32 \[8, 16\]/],
    [
      'over rows without a stride',
      withTensors({ q: { ...u8('q', 8, 64), shape: [512] } }),
      /expected U8 \[8, .*found U8 \[512\]/,
    ],
    [
      'over rows that overlap',
      () => parseMatrices({ ...plainMatrices(), down: { ...plainMatrices().down, firstByte: 0 } }),
      /tensor "both" at byte 4608: the matrix "down" overlaps "up": expected it at byte 40 of a row or later, found 0/,
    ],
    [
      'over tensors beside a line',
      withTensors({ q: u8('q', 8, 64), both: u8('both', 4, 128), 'q.scale': f32('q.scale', 1, 49) }),
      /expected F32 \[1, 48\]/,
    ],
  ])('%s', (_, parsing, message) => {
    expect(parsing).toThrow(FormatError);
    expect(parsing).toThrow(message);
    expect(parsing).toThrow(/^\[(packed|safetensors)\] m\.safetensors: /);
  });

  it('with a tensor that lies beside a line of the cache', () => {
    const tensors = [u8('q', 8, 64), f32('q.scale', 1, 48), f32('norm', 3), f32('norm2', 16)];
    expect(() => parseMatrices({ q: int8() }, tensors)).toThrow(
      /tensor "norm2" at byte \d+: expected it at a multiple of 64 bytes/,
    );
  });

  it('of any content are refused with a FormatError or read', () => {
    const matrices = fc.dictionary(
      fc.constantFrom('q', 'up', 'z', '__proto__'),
      fc.oneof(
        fc.jsonValue(),
        fc.record(
          {
            dtype: fc.constantFrom('int8', 'f32', 'ternary', 'x'),
            rows: fc.oneof(fc.constant(8), fc.jsonValue()),
            cols: fc.oneof(fc.constant(48), fc.jsonValue()),
            tensor: fc.constantFrom('q', 'both', 'q.scale', 'none'),
            firstByte: fc.oneof(fc.constant(0), fc.jsonValue()),
            scale: fc.oneof(fc.constantFrom('q.scale', 'norm'), fc.jsonValue()),
            scaleAxis: fc.constantFrom('rows', 'cols', 'x'),
            groupRows: fc.oneof(fc.constant(8), fc.jsonValue()),
          },
          { requiredKeys: [] },
        ),
      ),
    );
    fc.assert(
      fc.property(matrices, (content) => {
        try {
          parseMatrices(content as Record<string, unknown>);
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }),
      { numRuns: 300 },
    );
  });
});

/** The matrices as they are written. */
function plainMatrices(): Record<string, Record<string, unknown>> {
  const { matrices } = encodePackedMetadata(describeModel(model().matrices, model().tensors));
  return JSON.parse(matrices) as Record<string, Record<string, unknown>>;
}
