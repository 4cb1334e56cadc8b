import { afterEach, describe, expect, it, vi } from 'vitest';
import { RunStore } from './run-store.ts';

const step = (n: number) => `${JSON.stringify({ type: 'step', step: n, tokens: n, seconds: n, loss: 1 })}\n`;

function metricsFile(path: string, text: string): File {
  const file = new File([text], 'metrics.jsonl');
  return Object.defineProperty(file, 'webkitRelativePath', { value: path });
}

/** What the server says of runs with these ids, at step 1 of 4. */
function listOf(ids: readonly string[]): Response {
  const common = { startedAt: null, isLive: true, step: 1, maxSteps: 4 };
  return Response.json(ids.map((id) => ({ id, name: id, ...common })));
}

afterEach(() => vi.unstubAllGlobals());

describe('RunStore', () => {
  it('keeps runs of the same folder name apart, and takes a file that comes again for the same', async () => {
    const store = new RunStore();
    const files = ['x/book', 'y/book', 'y/other'].map((folder, i) =>
      metricsFile(`${folder}/metrics.jsonl`, step(i + 1)),
    );
    expect(await store.addFiles(files)).toEqual([]);
    expect(store.runs.map(({ name }) => name)).toEqual(['book', 'book', 'other']);
    await store.addFiles([files[1]]);
    expect(store.runs).toHaveLength(3);
  });

  it('ends a run that is gone from the server, and keeps what was read of it', async () => {
    let ids = ['a', 'b'];
    vi.stubGlobal('fetch', async (path: string) => {
      if (path !== './api/runs') return new Response(step(1), { headers: { 'x-next-byte': String(step(1).length) } });
      return listOf(ids);
    });
    const store = new RunStore();
    await store.list();
    ids = ['b'];
    await store.list();
    expect(store.runs.map(({ name, isLive, mayGrow }) => [name, isLive, mayGrow])).toEqual([
      ['b', true, true],
      ['a', false, false],
    ]);
  });

  it('has the runs of the server in its order, the newest first, each in its colour', async () => {
    let ids = ['b', 'a'];
    vi.stubGlobal('fetch', async () => listOf(ids));
    const store = new RunStore();
    await store.addFiles([metricsFile('x/book/metrics.jsonl', step(1))]);
    await store.list();
    const seen = () => store.runs.map(({ name, color }) => [name, color]);
    expect(seen()).toEqual([
      ['b', 1],
      ['a', 2],
      ['book', 0],
    ]);
    ids = ['c', 'b', 'a'];
    await store.list();
    expect(seen()).toEqual([
      ['c', 3],
      ['b', 1],
      ['a', 2],
      ['book', 0],
    ]);
  });

  it('loses nothing where a run is updated twice at once', async () => {
    const text = [1, 2, 3, 4].map(step).join('');
    /** How much of it there is: the run goes on. */
    let size = step(1).length;
    vi.stubGlobal('fetch', async (path: string) => {
      if (path === './api/runs') return listOf(['a']);
      const from = Number(new URL(path, 'http://here/').searchParams.get('from'));
      await new Promise((resolve) => setTimeout(resolve, 1));
      return new Response(text.slice(from, size), { headers: { 'x-next-byte': String(size) } });
    });
    const store = new RunStore();
    await store.list();
    await store.update(store.runs[0]);
    size = text.length;
    await Promise.all([store.update(store.runs[0]), store.update(store.runs[0])]);
    expect(store.runs[0].run.records).toHaveLength(4);
  });
});
