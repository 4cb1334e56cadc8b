import { existsSync } from 'node:fs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ShapeError } from '../util/errors.ts';
import { timeBackend } from './time-kernels.ts';

const WASM_BUILT = existsSync(new URL('../../build/wasm/qsparse.wasm', import.meta.url));

/** load-backend.ts on a machine where the addon was or was not built, with no notice given so far. */
async function freshModule({ addonBuilt }: { addonBuilt: boolean }) {
  vi.resetModules();
  vi.doMock('./native/addon.ts', async (original) => {
    const actual = await original<typeof import('./native/addon.ts')>();
    const { BackendError: Refused } = await import('../util/errors.ts');
    const loadAddon = () => {
      throw new Refused('native', 'the native kernels are not built.');
    };
    return addonBuilt ? actual : { ...actual, isAddonBuilt: () => false, loadAddon };
  });
  return (await import('./load-backend.ts')).loadBackend;
}

afterEach(() => vi.doUnmock('./native/addon.ts'));

describe('loadBackend', () => {
  it('wraps the kernels in shape checks', async () => {
    const { loadBackend } = await import('./load-backend.ts');
    const backend = await loadBackend({ backend: 'reference' });
    const tensor = (length: number) => ({
      dtype: 'f32' as const,
      shape: [length],
      ...backend.allocate('f32', length),
    });
    const a = tensor(3);
    backend.kernels.fill(a, 2);
    expect([...a.data]).toEqual([2, 2, 2]);
    expect(() => backend.kernels.add(a, a, tensor(4))).toThrow(ShapeError);
    expect(backend.name).toBe('reference');
    backend.dispose();
  });

  it('passes the mapping of files on, where the backend has it', async () => {
    const { loadBackend } = await import('./load-backend.ts');
    const { isAddonBuilt } = await import('./native/addon.ts');
    const reference = await loadBackend({ backend: 'reference' });
    expect(reference.mapFile).toBe(undefined);
    expect(timeBackend(reference).backend.mapFile).toBe(undefined);
    if (!isAddonBuilt()) return;
    const native = await loadBackend({ backend: 'native', threads: 1 });
    expect(native.mapFile).toBeTypeOf('function');
    expect(timeBackend(native).backend.mapFile).toBeTypeOf('function');
    native.dispose();
  });

  it.skipIf(!WASM_BUILT)('without the addon and without a wish: wasm, said once with what to do', async () => {
    const loadBackend = await freshModule({ addonBuilt: false });
    const lines: string[] = [];
    for (let i = 0; i < 2; i++) {
      const backend = await loadBackend({ threads: 1, notice: (line) => lines.push(line) });
      expect(backend.name).toBe('wasm');
      backend.dispose();
    }
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/slower wasm.*npm run build|slower wasm.*WSL/);
  });

  it('never replaces a wish: native or an instruction set without the addon is an error', async () => {
    const loadBackend = await freshModule({ addonBuilt: false });
    await expect(loadBackend({ backend: 'native' })).rejects.toThrow(/not built/);
    await expect(loadBackend({ isa: 'avx2' })).rejects.toThrow(/not built/);
  });

  it('refuses unknown names, and an instruction set for a backend that has none', async () => {
    const { loadBackend } = await import('./load-backend.ts');
    await expect(loadBackend({ backend: 'cuda' as 'native' })).rejects.toMatchObject({ name: 'UsageError' });
    await expect(loadBackend({ backend: 'wasm', isa: 'avx2' })).rejects.toMatchObject({ name: 'UsageError' });
  });
});
