/** The committed results as tables and figures read them: what there is of a model, and null for what is not measured. */

import path from 'node:path';
import { readJson } from '../../bench/lib/processes.mjs';
import { STUDIES } from './plan.mjs';
import { shownMetric } from './shown-metric.mjs';

export class Results {
  /** `studies`: by name what run.mjs wrote, `speeds`: what speed.mjs did. */
  constructor(studies, speeds) {
    this.studies = studies;
    this.speeds = speeds;
  }

  static read(folder) {
    const files = (suffix) => (study) => readJson(path.join(folder, `${study}${suffix}.json`));
    const of = (read) => Object.fromEntries(Object.keys(STUDIES).map((study) => [study, read(study)]));
    return new Results(of(files('')), of(files('-speed')));
  }

  of(study) {
    return new StudyResults(this.studies[study]?.models ?? {}, this.speeds[study]?.models ?? {});
  }
}

export class StudyResults {
  constructor(models, speeds) {
    this.models = models;
    this.speeds = speeds;
  }

  /** `{ value, error }`, null where it is not measured. */
  perplexity(name, text) {
    const found = this.models[name]?.perplexity?.texts[text];
    if (!found) return null;
    return { value: found.perplexity, error: (found.natsStderr ?? 0) * found.perplexity };
  }

  /** Nats a token. */
  nats(name, text) {
    const found = this.models[name]?.perplexity?.texts[text];
    return found ? Math.log(found.perplexity) : null;
  }

  /** Nats a token over those of another model, `{ value, error }`, null where one is missing. Both read the same windows: the error is that of the differences window by window. */
  natsOver(name, reference, text) {
    const found = (one) => this.models[one]?.perplexity?.texts[text];
    return differenceOf(found(name)?.windows, found(reference)?.windows, found(name)?.windowTokens);
  }

  #score(name, task) {
    return this.models[name]?.tasks?.scores.find((score) => score.task === task);
  }

  score(name, task) {
    const metrics = this.#score(name, task)?.metrics;
    const found = metrics?.[shownMetric(metrics)];
    return found ? { value: found.value, error: found.stderr ?? 0 } : null;
  }

  /** The mean of the scores, null where one is missing. */
  meanScore(name, tasks) {
    const scores = tasks.map((task) => this.score(name, task));
    if (scores.some((score) => score === null)) return null;
    const value = scores.reduce((sum, score) => sum + score.value, 0) / scores.length;
    const error = Math.sqrt(scores.reduce((sum, score) => sum + score.error ** 2, 0)) / scores.length;
    return { value, error };
  }

  /**
   * The mean of the scores over that of another model, null where one is missing. Both answered the same items: the error is that of the differences item by item, which is smaller than that of
   * two means, since an item that is hard for one is hard for the other.
   */
  scoreOver(name, reference, tasks) {
    const differences = tasks.map((task) =>
      differenceOf(this.#score(name, task)?.values, this.#score(reference, task)?.values),
    );
    if (differences.some((difference) => difference === null)) return null;
    const value = differences.reduce((sum, one) => sum + one.value, 0) / tasks.length;
    const error = Math.sqrt(differences.reduce((sum, one) => sum + one.error ** 2, 0)) / tasks.length;
    return { value, error };
  }

  activated(name) {
    return this.models[name]?.activated ?? null;
  }

  training(name) {
    return this.models[name]?.training ?? null;
  }

  speed(name) {
    return this.speeds[name] ?? null;
  }

  /**
   * How much of what top-K does to the loss is repaired after so many tokens: `[tokens, share]`; 0 is untrained, 1 the dense model before it was trained on. Of the text that the run
   * validates on. Null where a beginning is missing.
   */
  repaired(name, begin) {
    const [dense, sparse, run] = ['start-dense', begin, name].map((one) => this.training(one)?.validation);
    if (!dense?.length || !sparse?.length || !run?.length) return null;
    const damage = sparse[0].loss - dense[0].loss;
    return [[0, 0], ...run.map(({ tokens, loss }) => [tokens, (sparse[0].loss - loss) / damage])];
  }

  /**
   * How much smaller the distance to the dense model is at the end, where both were trained, than before, where neither was: what the text teaches is on both sides. Null where one is
   * missing, and where they were trained on different numbers of tokens.
   */
  repairedBeside(name, begin, reference) {
    const of = (one) => this.training(one)?.validation;
    const [dense, sparse, run, trained] = ['start-dense', begin, name, reference].map(of);
    if (![dense, sparse, run, trained].every((curve) => curve?.length)) return null;
    if (run.at(-1).tokens !== trained.at(-1).tokens) return null;
    return 1 - (run.at(-1).loss - trained.at(-1).loss) / (sparse[0].loss - dense[0].loss);
  }
}

/** The mean of `own` - `other`, weighted by `sizes` where there are any, all numbers with commas between them; null where one of the first is not there. */
function differenceOf(own, other, sizes) {
  if (own === undefined || other === undefined) return null;
  const [values, others] = [own, other].map(numbersOf);
  return meanOf(
    values.map((value, i) => value - others[i]),
    sizes === undefined ? values.map(() => 1) : numbersOf(sizes),
  );
}

function numbersOf(text) {
  return text.split(',').map(Number);
}

/** With its standard error: that of a ratio of sums, s / sqrt(n) where the weights are equal. */
function meanOf(values, weights) {
  const n = values.length;
  const whole = weights.reduce((sum, weight) => sum + weight, 0);
  const value = values.reduce((sum, one, i) => sum + weights[i] * one, 0) / whole;
  const squares = values.reduce((sum, one, i) => sum + (weights[i] * (one - value)) ** 2, 0);
  return { value, error: Math.sqrt((squares * n) / (n - 1)) / whole };
}
