import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { preset } from '../model/presets.ts';
import { type ModelConfigInput, resolveConfig } from '../model/resolve-config.ts';
import { FormatError, UsageError } from '../util/errors.ts';
import { loadRecipe, memberNames, recipeNames } from './recipes.ts';
import { resolveTrainConfig } from './train-config.ts';

const families = new Map(
  await Promise.all(recipeNames().map(async (name) => [name, await memberNames(name)] as const)),
);
const all = recipeNames().flatMap((name) => (families.get(name)?.length ? (families.get(name) ?? []) : [name]));

describe('recipes', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'qsparse-recipes-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const write = (name: string, text: string) => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };

  it('there are built-in ones', () => {
    expect(recipeNames().length).toBeGreaterThan(0);
  });

  it.each(all)('the built-in recipe %s is valid', async (name) => {
    const recipe = await loadRecipe(name);
    const model = resolveConfig({ ...preset(recipe.preset ?? 'quickstart'), ...recipe.model } as ModelConfigInput);
    expect(resolveTrainConfig(recipe.train ?? {}, model.seqLen).steps).toBeGreaterThan(0);
  });

  it('asks for the member of a family, by its name', async () => {
    await expect(loadRecipe('ablations')).rejects.toThrow(/ablations holds several recipes.*ablations\/dense/);
    await expect(loadRecipe('ablations/dens')).rejects.toThrow(/Did you mean "ablations\/dense"\?/);
    await expect(loadRecipe('block/dense')).rejects.toThrow(/block is one recipe/);
    await expect(loadRecipe('ablations/../block')).rejects.toThrow(UsageError);
  });

  it('loads a module by its path', async () => {
    const path = write('own.mjs', 'export const recipe = { model: { dim: 6 * 8 }, train: { steps: 3 } };');
    expect(await loadRecipe(path)).toEqual({ model: { dim: 48 }, train: { steps: 3 } });
  });

  it.each<[string, string, RegExp]>([
    ['empty.mjs', '', /must export .*got no export of that name/],
    ['default.mjs', 'export const recipe = 3;', /got number/],
    ['field.mjs', 'export const recipe = { modle: {} };', /unknown field "modle"\. Did you mean "model"/],
    ['syntax.mjs', 'export const', /cannot be loaded/],
  ])('refuses %s', async (name, text, message) => {
    const path = write(name, text);
    await expect(loadRecipe(path)).rejects.toThrow(FormatError);
    await expect(loadRecipe(path)).rejects.toThrow(message);
  });

  it('answers a misspelling with the nearest name', async () => {
    await expect(loadRecipe('quickstrat')).rejects.toThrow(UsageError);
    await expect(loadRecipe('quickstrat')).rejects.toThrow(/Did you mean "quickstart"/);
  });
});
