/**
 * Recipes: modules that export `recipe: { model, train }`, by path or by the name of a built-in one in `recipes/`.
 *
 * A recipe is code so that it can be commented and computed; it is read here as data and every field of it is checked by
 * resolveConfig and resolveTrainConfig like an option. Options of the command line override it.
 */

import { existsSync, readdirSync } from 'node:fs';
import { basename, extname, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { ModelConfigInput } from '../model/config.ts';
import { FormatError, messageOf, nearestName, UsageError } from '../util/errors.ts';
import type { TrainConfigInput } from './train-config.ts';

export interface Recipe {
  /** The shape to start from, see model/presets.ts. */
  preset?: string;
  model?: Partial<ModelConfigInput>;
  train?: TrainConfigInput;
}

const KNOWN_FIELDS: readonly string[] = ['preset', 'model', 'train'];

/** The same relative path from `src/train` and from `dist/train`. */
const BUILT_IN_FOLDER = fileURLToPath(new URL('../../recipes/', import.meta.url));

/** Names of the built-in recipes. */
export function recipeNames(folder = BUILT_IN_FOLDER): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => extname(file) === '.mjs')
    .map((file) => basename(file, '.mjs'))
    .sort();
}

/**
 * The recipe that `name` stands for: a built-in name, or the path of a `.mjs`, `.js` or (where Node strips types) `.ts`
 * module. Throws UsageError where there is none, FormatError where the module does not export a recipe.
 */
export async function loadRecipe(name: string): Promise<Recipe> {
  const path = findRecipe(name);
  let module: Record<string, unknown>;
  try {
    module = (await import(pathToFileURL(path).href)) as Record<string, unknown>;
  } catch (error) {
    const advice = path.endsWith('.ts')
      ? ' Types are stripped from Node 22.18 on: use a .mjs file with older ones.'
      : '';
    throw new FormatError('recipe', `${path} cannot be loaded: ${messageOf(error)}.${advice}`, path, { cause: error });
  }
  return checked(module.recipe, path);
}

function findRecipe(name: string): string {
  const builtIn = resolve(BUILT_IN_FOLDER, `${name}.mjs`);
  if (recipeNames().includes(name)) return builtIn;
  const path = resolve(name);
  if (existsSync(path)) return path;
  const near = nearestName(name, recipeNames());
  const known = recipeNames().join(', ') || 'none are installed';
  throw new UsageError(
    'recipe',
    `no file and no built-in recipe "${name}" (built in: ${known}).${near ? ` Did you mean "${near}"?` : ''}`,
  );
}

function checked(recipe: unknown, path: string): Recipe {
  if (typeof recipe !== 'object' || recipe === null || Array.isArray(recipe)) {
    const message = `${path} must export \`const recipe = { model, train }\`, got ${recipe === undefined ? 'no export of that name' : typeof recipe}.`;
    throw new FormatError('recipe', message, path);
  }
  for (const field of Object.keys(recipe)) {
    if (KNOWN_FIELDS.includes(field)) continue;
    const near = nearestName(field, KNOWN_FIELDS);
    const advice = near ? ` Did you mean "${near}"?` : ` Expected ${KNOWN_FIELDS.join(', ')}.`;
    throw new FormatError('recipe', `${path} has an unknown field "${field}".${advice}`, path);
  }
  return recipe as Recipe;
}
