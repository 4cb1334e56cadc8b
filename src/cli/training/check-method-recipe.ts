/** Recipes for a model that exists: they say what is set to zero and how it is trained, never its shape. */

import type { Recipe } from '../../train/recipes.ts';
import { UsageError } from '../../util/errors.ts';

/** What a run may change of the model that it begins with. */
const METHOD_FIELDS: readonly string[] = [
  ...['activation', 'sparsifier', 'sparsity', 'blockSize', 'thresholds', 'gradient', 'rescale', 'hiddenL1'],
  ...['activationFormat', 'weightFormat', 'routerLoadBalance', 'routerZLoss'],
];

/** Throws UsageError for a recipe of a shape. */
export function checkMethodRecipe({ preset, model = {} }: Recipe): void {
  const other = preset === undefined ? Object.keys(model).find((field) => !METHOD_FIELDS.includes(field)) : 'preset';
  if (other === undefined) return;
  const allowed = METHOD_FIELDS.join(', ');
  throw new UsageError(
    '--recipe',
    `${other} is that of the model that the training begins with: expected a recipe with ${allowed}. Take it out.`,
  );
}
