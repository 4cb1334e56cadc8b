/**
 * What changes with the step: the learning rate and the share of the sparsity that already holds.
 *
 * Pure functions of the step, so that a resumed run follows the same curve without saved state. Steps count from 1: step s
 * is the update that takes s - 1 finished updates to s. Sources: cosine - Loshchilov & Hutter, SGDR (arXiv 1608.03983);
 * warm-up-stable-decay - MiniCPM (arXiv 2404.06395).
 */

export type LearningRateSchedule = 'cosine' | 'wsd';

export interface LearningRateConfig {
  /** Peak rate. */
  lr: number;
  /** Rate of the last step. */
  minLr: number;
  /** Steps of linear growth to the peak; 0 starts at the peak. */
  warmupSteps: number;
  /** Length of the run. */
  steps: number;
  schedule: LearningRateSchedule;
  /** wsd: the share of the run, at its end, in which the rate falls linearly to minLr. */
  decayShare: number;
}

/**
 * The rate of step `step` (from 1): lr * step / warmupSteps during the warm-up, then the schedule; exactly minLr at the
 * last step and after it.
 */
export function learningRateAt(config: LearningRateConfig, step: number): number {
  if (step <= config.warmupSteps) return (config.lr * step) / config.warmupSteps;
  if (step >= config.steps) return config.minLr;
  const span = config.lr - config.minLr;
  if (config.schedule === 'cosine') {
    const progress = (step - config.warmupSteps) / (config.steps - config.warmupSteps);
    return config.minLr + span * 0.5 * (1 + Math.cos(Math.PI * progress));
  }
  const decaySteps = Math.max(1, Math.round(config.decayShare * config.steps));
  return config.minLr + span * Math.min(1, (config.steps - step) / decaySteps);
}

/**
 * The factor, 0 .. 1, by which the configured sparsity of every point is multiplied at step `step` (from 1): grows
 * linearly over `rampSteps` steps and then stays 1; always 1 without a ramp.
 */
export function sparsityScaleAt(rampSteps: number, step: number): number {
  return step >= rampSteps ? 1 : step / rampSteps;
}
