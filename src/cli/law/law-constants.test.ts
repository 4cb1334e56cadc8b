import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { FormatError } from '../../util/errors.ts';
import { readLaws } from './law-constants.ts';
import { readSpeed } from './read-speed.ts';

const folder = mkdtempSync(join(tmpdir(), 'qsparse-law-constants-'));
const path = join(folder, 'constants.json');

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const LAW = {
  form: 'exponential',
  constants: { E: 2, B: 0.1, C: 1, alpha: 0.3, beta: 0.1 },
  measured: { sizes: [0.2, 4], sparsities: [0, 0.8], tokens: null },
};
const FILE = { formatVersion: 1, sizeUnit: 1e6, laws: { float: LAW } };

function read(content: unknown) {
  return () => {
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
    return readLaws(path);
  };
}

describe('readLaws', () => {
  it('reads what law fit --json writes, with and without a term for tokens', () => {
    const [law] = read(FILE)();
    expect(law).toMatchObject({ format: 'float', sizeUnit: 1e6, constants: LAW.constants, measured: LAW.measured });
    const joint = { ...LAW, constants: { ...LAW.constants, F: 1, gamma: 0.4 } };
    expect(read({ ...FILE, laws: { float: joint } })()[0].form.terms).toHaveLength(4);
  });

  it.each([
    ['{', /cannot be read as JSON/],
    ['[]', /expected an object, got a list/],
    [{ ...FILE, formatVersion: 2 }, /expected formatVersion 1 and laws, got formatVersion 2/],
    [{ ...FILE, sizeUnit: 0 }, /sizeUnit: expected a number above 0, got 0/],
    [{ ...FILE, laws: {} }, /expected at least one law/],
    [
      { ...FILE, laws: { float: { ...LAW, form: 'cubic' } } },
      /laws.float.form: expected one of exponential, .*got "cubic"/,
    ],
    [
      { ...FILE, laws: { float: { ...LAW, constants: { E: 2 } } } },
      /constants.B: expected a number of at least 0, got undefined/,
    ],
    [
      { ...FILE, laws: { float: { ...LAW, constants: { ...LAW.constants, alpha: '0.3' } } } },
      /constants.alpha: expected a number, got "0.3"/,
    ],
    [{ ...FILE, laws: { float: { ...LAW, measured: { sizes: [1] } } } }, /measured.sizes: expected two numbers/],
  ])('refuses %j', (content, message) => {
    expect(read(content)).toThrow(FormatError);
    expect(read(content)).toThrow(message);
  });
});

describe('readSpeed', () => {
  const row = { shape: 'q300m', dtype: 'f32', batch: 1, closedGates: null, zeros: 0, msPerToken: 50 };
  const speed = (content: object) => () => {
    writeFileSync(path, JSON.stringify(content));
    return readSpeed(path);
  };

  it('reads a bench and a study of several, single tokens of known shapes alone', () => {
    const rows = [row, { ...row, zeros: 0.5, msPerToken: 30 }, { ...row, batch: 8, msPerToken: 1 }];
    for (const file of [{ rows }, { cases: [{ rows: rows.slice(0, 1) }, { rows: rows.slice(1) }] }]) {
      const { curves } = speed(file)();
      expect([...curves.keys()]).toEqual(['f32']);
      const curve = curves.get('f32')!;
      expect(curve.msPerToken(curve.sizes[0], 0.25)).toBeCloseTo(40, 9);
    }
  });

  it('says what is missing or wrong', () => {
    expect(speed({ rows: [{ ...row, shape: 'runs/book' }] })).toThrow(
      /got 1 rows of which none is one.*qsparse bench decode/,
    );
    expect(speed({ rows: [{ ...row, msPerToken: null }] })).toThrow(
      /msPerToken of q300m: expected a number above 0, got null/,
    );
    expect(speed({ rows: [{ ...row, zeros: 0.4 }] })).toThrow(/expected times of a dense model/);
  });
});
