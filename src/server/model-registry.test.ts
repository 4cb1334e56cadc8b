import { describe, expect, it } from 'vitest';
import { fakeSource } from '../../test/support/fake-server.ts';
import { FormatError } from '../util/errors.ts';
import { ModelRegistry } from './model-registry.ts';

const loadedIn = (registry: ModelRegistry) => registry.loaded().map(({ id }) => id);

describe('ModelRegistry', () => {
  it('loads what is asked for and makes room with the least recently used', () => {
    const sources = ['a', 'b', 'c'].map((id) => fakeSource(id, { bytes: 100 }));
    const registry = new ModelRegistry(sources, { memoryBytes: 250 });
    for (const id of ['a', 'b']) registry.acquire(id).release();
    registry.acquire('a').release();
    registry.acquire('c').release();
    expect(loadedIn(registry)).toEqual(['a', 'c']);
    expect(registry.bytes).toBe(200);
    expect(sources.map(({ models }) => models.length)).toEqual([1, 1, 1]);
    registry.dispose();
    expect(registry.bytes).toBe(0);
  });

  it('never takes a model away from those who use it', () => {
    const registry = new ModelRegistry(
      ['a', 'b'].map((id) => fakeSource(id, { bytes: 100 })),
      { memoryBytes: 150 },
    );
    const lease = registry.acquire('a');
    expect(() => registry.acquire('b')).toThrow(/no room for the model "b"/);
    expect(() => registry.acquire('b')).toThrow(expect.objectContaining({ status: 503, retryAfter: 5 }));
    lease.release();
    lease.release();
    expect(registry.acquire('b').id).toBe('b');
    expect(loadedIn(registry)).toEqual(['b']);
  });

  it('says what can never fit, and frees nobody for it', () => {
    const sources = [fakeSource('a', { bytes: 100 }), fakeSource('large', { bytes: 300 })];
    const registry = new ModelRegistry(sources, { memoryBytes: 200 });
    registry.load('a');
    expect(() => registry.load('large')).toThrow(expect.objectContaining({ code: 'model_too_large' }));
    expect(loadedIn(registry)).toEqual(['a']);
  });

  it('loads at the start only what there is room for', () => {
    const registry = new ModelRegistry(
      ['a', 'b'].map((id) => fakeSource(id, { bytes: 100 })),
      { memoryBytes: 150 },
    );
    expect(['a', 'b'].map((id) => registry.loadIfRoom(id))).toEqual([true, false]);
  });

  it('unloads when the last request is done, and takes none until then', async () => {
    const registry = new ModelRegistry([fakeSource('a')]);
    const [first, second] = [registry.acquire('a'), registry.acquire('a')];
    let unloaded = false;
    const done = registry.unload('a').then(() => {
      unloaded = true;
    });
    expect(() => registry.acquire('a')).toThrow(expect.objectContaining({ status: 503, code: 'model_unloading' }));
    first.release();
    await Promise.resolve();
    expect(unloaded).toBe(false);
    second.release();
    await done;
    expect(loadedIn(registry)).toEqual([]);
    expect(registry.acquire('a').id).toBe('a');
    await expect(registry.unload('nothing')).rejects.toThrow(/no model "nothing"/);
  });

  it('tells the log, not the client, why a model cannot be loaded', () => {
    const log: string[] = [];
    const path = '/secret/place/model.gguf';
    const open = () => {
      throw new FormatError('gguf', `${path}: the file is cut off.`, path);
    };
    const registry = new ModelRegistry([fakeSource('bad', { open }), fakeSource('good')], {
      onEvent: (line) => log.push(line),
    });
    expect(() => registry.acquire('bad')).toThrow(expect.objectContaining({ status: 503, code: 'model_not_loadable' }));
    expect(() => registry.acquire('bad')).not.toThrow(/secret/);
    expect(log[0]).toContain(path);
    expect(registry.acquire('good').id).toBe('good');
    expect(registry.list().map(({ loaded }) => loaded)).toEqual([false, true]);
  });

  it('makes room for what a model takes, which may be more than was said of it', () => {
    const [idle, wanted] = ['a', 'b'].map((id) => fakeSource(id, { bytes: 100 }));
    const modest = { ...wanted, describe: () => ({ ...wanted.describe(), bytes: 50 }) };
    const registry = new ModelRegistry([idle, modest], { memoryBytes: 150 });
    registry.load('a');
    expect(registry.loadIfRoom('b')).toBe(false);
    expect([loadedIn(registry), registry.bytes]).toEqual([['a'], 100]);
    registry.load('b');
    expect([loadedIn(registry), registry.bytes]).toEqual([['b'], 100]);
  });

  it('frees a model that turned out larger than it was said to be', () => {
    const source = fakeSource('a', { bytes: 300 });
    const lying = { ...source, describe: () => ({ ...source.describe(), bytes: 100 }) };
    const registry = new ModelRegistry([lying], { memoryBytes: 200 });
    expect(() => registry.acquire('a')).toThrow(expect.objectContaining({ code: 'model_too_large' }));
    expect(registry.bytes).toBe(0);
  });
});
