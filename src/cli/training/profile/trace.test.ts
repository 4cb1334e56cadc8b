import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { traceProblems } from '../../../../test/support/trace-problems.ts';
import { refuseOtherTrace, Trace } from './trace.ts';

interface Node {
  readonly before: number;
  readonly inside: number;
  readonly children: readonly Node[];
}

/** Clocks may stand still, and count fractions that no decimal has. */
const ms = fc.oneof(fc.constant(0), fc.double({ min: 0, max: 3, noNaN: true }));

function trees(depth: number): fc.Arbitrary<Node[]> {
  const children = depth === 0 ? fc.constant([]) : trees(depth - 1);
  return fc.array(fc.record({ before: ms, inside: ms, children }), { maxLength: 3 });
}

/** Plays a tree of sections from `ms` on and returns when it was over. */
function play(trace: Trace, tree: Node, ms: number, path: string): number {
  let now = ms + tree.before;
  const event = trace.begin(path, 'op', now);
  tree.children.forEach((child, c) => {
    now = play(trace, child, now, `${path}.${c}`);
  });
  now += tree.inside;
  trace.end(event, now);
  return now;
}

describe('Trace', () => {
  it('nests events as they were nested, whatever the clock says', () => {
    fc.assert(
      fc.property(trees(4), fc.double({ min: 0, max: 1e9, noNaN: true }), (roots, origin) => {
        const trace = new Trace();
        let now = origin;
        roots.forEach((tree, t) => {
          now = play(trace, tree, now, String(t));
        });
        const events = JSON.parse(trace.toJson('a machine'));
        expect(traceProblems(events, (inner, outer) => inner.name.startsWith(`${outer.name}.`))).toEqual([]);
      }),
    );
  });

  it('writes microseconds from the first event on, and leaves out what has not ended', () => {
    const trace = new Trace();
    trace.begin('unfinished', 'step', 1000);
    const event = trace.begin('matmul', 'kernel', 1000.5);
    trace.end(event, 1002.0004, { gflops: 3 });
    const events = JSON.parse(trace.toJson('a machine'));
    expect(events[1]).toMatchObject({ ph: 'M', args: { labels: 'a machine' } });
    expect(events.slice(3)).toEqual([
      { name: 'matmul', cat: 'kernel', ph: 'X', ts: 500, dur: 1500.4, pid: 1, tid: 1, args: { gflops: 3 } },
    ]);
  });
});

describe('refuseOtherTrace', () => {
  const folder = mkdtempSync(join(tmpdir(), 'qsparse-trace-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('lets a new file and an older trace be written, and nothing else', () => {
    const path = join(folder, 'trace.json');
    expect(() => refuseOtherTrace(path)).not.toThrow();
    writeFileSync(path, new Trace().toJson('a machine'));
    expect(() => refuseOtherTrace(path)).not.toThrow();
    for (const content of ['', '{"name":"package"}', '[1, 2]', 'a text']) {
      writeFileSync(path, content);
      expect(() => refuseOtherTrace(path), content).toThrow(/^\[--trace\] .* is no trace/);
    }
    expect(() => refuseOtherTrace(folder)).toThrow(/is no trace/);
  });
});
