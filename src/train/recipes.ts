/**
 * Recipes: modules that export `recipe: { model, train }`, by path or by the name of a built-in one in `recipes/`. A built-in module may
 * hold a family, `recipes: { NAME: recipe }`, whose members are called FILE/NAME.
 *
 * A recipe is code so that it can be commented and computed; it is read here as data and every field of it is checked by
 * resolveConfig and resolveTrainConfig like an option. Options of the command line override it.
 */

import { existsSync, readdirSync } from 'node:fs';
import { basename, extname, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { ModelConfigInput } from '../model/resolve-config.ts';
import { FormatError, messageOf, nearestName, UsageError } from '../util/errors.ts';
import { isObject } from '../util/is-object.ts';
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

/** Names of the built-in recipes and families. */
export function recipeNames(folder = BUILT_IN_FOLDER): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => extname(file) === '.mjs')
    .map((file) => basename(file, '.mjs'))
    .sort();
}

/** Names of the members of a built-in family; none where `name` is a single recipe. */
export async function memberNames(name: string): Promise<string[]> {
  const { recipes } = await importModule(builtIn(name));
  return isObject(recipes) ? Object.keys(recipes).map((member) => `${name}/${member}`) : [];
}

/**
 * The recipe that `name` stands for: a built-in name, or the path of a `.mjs`, `.js` or (where Node strips types) `.ts`
 * module. Throws UsageError where there is none, FormatError where the module does not export a recipe.
 */
export async function loadRecipe(name: string): Promise<Recipe> {
  const [family, member] = name.split('/');
  if (member !== undefined && recipeNames().includes(family)) return loadMember(family, name);
  const path = findRecipe(name);
  const module = await importModule(path);
  if (isObject(module.recipes) && module.recipe === undefined) return loadMember(name, name);
  return checked(module.recipe, path);
}

async function loadMember(family: string, name: string): Promise<Recipe> {
  const path = builtIn(family);
  const { recipes } = await importModule(path);
  if (!isObject(recipes)) throw new UsageError('recipe', `${family} is one recipe, got "${name}". Name it ${family}.`);
  const members = Object.keys(recipes).map((member) => `${family}/${member}`);
  if (members.includes(name)) return checked(recipes[name.slice(family.length + 1)], path);
  const near = nearestName(name, members);
  const advice = near && name !== family ? ` Did you mean "${near}"?` : '';
  throw new UsageError(
    'recipe',
    `${family} holds several recipes, got "${name}".${advice} Expected one of ${members.join(', ')}.`,
  );
}

async function importModule(path: string): Promise<Record<string, unknown>> {
  try {
    return (await import(pathToFileURL(path).href)) as Record<string, unknown>;
  } catch (error) {
    const advice = path.endsWith('.ts')
      ? ' Types are stripped from Node 22.18 on: use a .mjs file with older ones.'
      : '';
    throw new FormatError('recipe', `${path} cannot be loaded: ${messageOf(error)}.${advice}`, path, { cause: error });
  }
}

function builtIn(name: string): string {
  return resolve(BUILT_IN_FOLDER, `${name}.mjs`);
}

function findRecipe(name: string): string {
  if (recipeNames().includes(name)) return builtIn(name);
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
  if (!isObject(recipe)) {
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
