/**
 * How long the study will take: seconds of a unit from rates, and rates from what is on file already where there is something.
 *
 * The rates that it begins with are those of SmolLM2-135M on one thread of a 2-core machine with AVX2; of another model they scale with its parameters.
 */

import { trainedTokens } from './plan.mjs';

const PARAMETERS = 135e6;
/** Tokens a second, and items of tasks. */
const RATES = { perplexity: 150, activated: 150, tasks: 1.5, training: 40 };
const TEACHER_COST = 1.3;
const SEARCH_SECONDS = 600;
const ACTIVATED_TOKENS = 2048;

/** What a unit is made of, in the unit of its rate: tokens, and items of tasks. */
export function workOf({ entry, part }, settings) {
  switch (part) {
    case 'perplexity':
      return settings.maxTokens * settings.texts.perplexity.length;
    case 'activated':
      return ACTIVATED_TOKENS;
    case 'tasks':
      return settings.limit * settings.tasks.length;
    case 'training':
      return trainedTokens(entry, settings) * (entry.recipe.includes('distilled') ? TEACHER_COST : 1);
  }
}

/** Work a second by part: of the units on file, and for a part without one the rate to begin with. */
export function ratesOf(models, units, settings) {
  const rates = {};
  for (const part of Object.keys(RATES)) {
    const done = units.filter((unit) => unit.part === part && models[unit.entry.name]?.[part]?.seconds > 0);
    const seconds = done.reduce((sum, { entry }) => sum + models[entry.name][part].seconds, 0);
    const work = done.reduce((sum, unit) => sum + (models[unit.entry.name][part].work ?? workOf(unit, settings)), 0);
    rates[part] = seconds > 0 ? work / seconds : (RATES[part] * PARAMETERS) / settings.parameters;
  }
  return rates;
}

/** Seconds of a unit with everything that has to be made for it. */
export function secondsOf(unit, settings, rates) {
  const searching =
    unit.part === 'perplexity' && unit.entry.greedy ? (SEARCH_SECONDS * settings.parameters) / PARAMETERS : 0;
  return workOf(unit, settings) / rates[unit.part] + searching;
}

export function timeText(seconds) {
  if (seconds < 5400) return `${Math.max(1, Math.round(seconds / 60))} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
