/** The committed results as the comparisons read them: a model by its name over seeds, and differences seed by seed. */

import path from 'node:path';
import { readJson } from '../../bench/lib/processes.mjs';
import { SEEDS } from './plan.mjs';

export class Results {
  /** `seeds`: for each seed `{ name: result }` of collect.mjs; `speed`: what speed.mjs wrote, or null. */
  constructor(seeds, speed) {
    this.seeds = seeds;
    this.speed = speed;
  }

  static read(folder) {
    const seeds = SEEDS.map((seed) => readJson(path.join(folder, `seed${seed}.json`)) ?? {});
    return new Results(seeds, readJson(path.join(folder, 'speed.json')));
  }

  /** The runs of a model that are on file, seed by seed. */
  runs(name) {
    return this.seeds.map((models) => models[name]).filter(Boolean);
  }

  has(name) {
    return this.runs(name).length > 0;
  }

  /** The run of the first seed: what has layers and curves is shown of one run. */
  first(name) {
    return this.runs(name)[0];
  }

  /** Mean, standard deviation (null of one seed) and number of `of(run)` over the seeds. */
  over(name, of) {
    return summary(this.runs(name).map(of));
  }

  loss(name) {
    return this.over(name, lossOf);
  }

  /** Of the loss, `name` less `reference`, over the seeds that both have: the seed's data and first weights cancel out. */
  difference(name, reference) {
    const both = this.seeds.filter((models) => models[name] && models[reference]);
    return summary(both.map((models) => lossOf(models[name]) - lossOf(models[reference])));
  }

  /** `{ tokensPerSecond, spread, overDense }` or undefined. */
  speedOf(name) {
    return this.speed?.models[name];
  }

  /** What the losses were computed with. */
  get backends() {
    const all = this.seeds.flatMap((models) => Object.values(models));
    return [...new Set(all.map(({ backend }) => backend))];
  }
}

export const lossOf = ({ quality }) => quality.validationLoss;

function summary(values) {
  if (values.length === 0) return null;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const deviation = values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : null;
  return { mean, deviation, count: values.length };
}
