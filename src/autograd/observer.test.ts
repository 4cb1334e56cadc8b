import { describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import { add } from '../ops/add.ts';
import { TensorPool } from '../tensor-pool.ts';
import type { Holding, Observer, Section } from './observer.ts';
import { within } from './observer.ts';
import type { Op } from './op.ts';
import { Tape } from './tape.ts';
import { Value } from './value.ts';

const backend = createReferenceBackend();

/** Writes down what it is told: `+name` and `-name`. */
class Diary implements Observer {
  readonly lines: string[] = [];
  readonly open: Section[] = [];
  look: (liveBytes: number, holdings: Holding[]) => void = () => {};

  enter(section: Section): void {
    this.open.push(section);
    this.lines.push(`+${section.name}`);
  }

  exit(): void {
    this.lines.push(`-${this.open.pop()?.name}`);
  }

  took(liveBytes: number, holdings: () => Holding[]): void {
    this.look(liveBytes, holdings());
  }
}

/** out = x; keeps a buffer of 1000 elements and uses another while its backward runs. */
const keeping: Op<{ x: Value }, { x: Value }> = {
  name: 'keeping',
  forward(tape, { x }) {
    const dense = tape.take(x.shape);
    tape.kernels.copy(x.dense!, dense);
    return { output: new Value(x.shape, { dense }), saved: { x }, keep: [tape.take([1, 1000])] };
  },
  backward(tape, { x }, dOut) {
    tape.enter('product', 'dX');
    tape.take([1, 3000]);
    tape.addGradient(x, dOut);
    tape.exit();
  },
};

const root: Op<{ x: Value }, { x: Value }, number> = {
  name: 'root',
  forward: (_tape, saved) => ({ output: 0, saved, keep: [] }),
  backward(tape, { x }) {
    tape.gradientTarget(x);
  },
};

function newTape(diary?: Diary): { tape: Tape; pool: TensorPool; x: Value } {
  const pool = new TensorPool(backend);
  const tape = new Tape(backend.kernels, pool, { dtype: 'f32', recording: true, observer: diary });
  return { tape, pool, x: new Value([1, 8], { dense: tape.take([1, 8]) }) };
}

describe('sections of a tape', () => {
  it('names ops where they run, and again, newest first, where they run backward; a layer is entered once', () => {
    const diary = new Diary();
    const { tape, x } = newTape(diary);
    tape.enter('layer', 'layer 0');
    let y = tape.apply(keeping, { x });
    tape.enter('point', 'qkv');
    y = tape.apply(keeping, { x: y });
    tape.exit();
    tape.exit();
    tape.apply(root, { x: y });
    const forward = '+layer 0 +keeping -keeping +qkv +keeping -keeping -qkv -layer 0 +root -root';
    expect(diary.lines.join(' ')).toBe(forward);
    diary.lines.length = 0;
    within(diary, 'phase', 'backward', () => tape.backward());
    expect(diary.lines.join(' ')).toBe(
      '+backward +root -root +layer 0 +qkv +keeping +dX -dX -keeping -qkv +keeping +dX -dX -keeping -layer 0 -backward',
    );
  });

  it('stays inside of the section in which the backward pass was called', () => {
    const diary = new Diary();
    const { tape, x } = newTape(diary);
    tape.apply(root, { x: tape.apply(add, { a: x, b: x }) });
    tape.enter('layer', 'outside');
    diary.lines.length = 0;
    tape.backward();
    expect(diary.lines.filter((line) => line.endsWith('outside'))).toEqual(['-outside', '+outside']);
    expect(diary.open.map(({ name }) => name)).toEqual(['outside']);
  });

  it('are all left after an error', () => {
    const diary = new Diary();
    const { tape, x } = newTape(diary);
    const broken: Op<{ x: Value }, null> = {
      ...(keeping as unknown as Op<{ x: Value }, null>),
      forward() {
        throw new Error('stop');
      },
    };
    const pass = () => {
      try {
        tape.enter('layer', 'layer 0');
        tape.apply(broken, { x });
      } finally {
        tape.dispose();
      }
    };
    expect(() => within(diary, 'phase', 'forward', pass)).toThrow('stop');
    expect(diary.open).toEqual([]);
  });
});

describe('holdings of a tape', () => {
  it('are all of the live bytes at any moment, by the reason that comes first', () => {
    const diary = new Diary();
    let seen: Holding[] = [];
    diary.look = (liveBytes, holdings) => {
      seen = holdings;
      expect(holdings.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(liveBytes);
    };
    const { tape, x } = newTape(diary);
    tape.enter('layer', 'layer 0');
    const y = tape.apply(keeping, { x });
    tape.exit();
    tape.apply(root, { x: y });
    tape.take([1, 8]);
    // x, y and the last one wait in the smallest block of the pool, 512 bytes.
    expect(seen.map(({ role, bytes }) => [role, bytes])).toEqual([
      ['kept', 4096],
      ['scratch', 3 * 512],
    ]);
    expect(seen[0].sections.map(({ name }) => name)).toEqual(['layer 0', 'keeping']);
    tape.backward();
    // Inside of the backward of `keeping`: its buffer is still held, dOut is there, 3000 elements are its own.
    const now = seen.map(({ role, bytes }) => [role, bytes]);
    expect(now).toEqual([
      ['kept', 4096],
      ['gradient', 512],
      ['scratch', 12288 + 3 * 512],
    ]);
  });
});
