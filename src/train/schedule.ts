/**
 * What changes with the step: learning rate, weight decay and the share of the sparsity that already holds.
 *
 * Pure functions of the step, so that a resumed run follows the same curve without saved state. Steps count from 1: step s
 * is the update that takes s - 1 finished updates to s. Sources: cosine - Loshchilov & Hutter, SGDR (arXiv 1608.03983);
 * warm-up-stable-decay - MiniCPM (arXiv 2404.06395); two stages - BitNet b1.58, whose values are table 6 of Q-Sparse (arXiv 2407.10969):
 * ternary weights train faster at high rates, and settle only where the rate falls and nothing pulls latent weights towards 0.
 */

export type LearningRateSchedule = 'cosine' | 'wsd' | 'two-stage';

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
  /** two-stage: takes the place of lr in the second half of the run; null, as the next, with every other schedule. */
  stageTwoLr: number | null;
}

export interface WeightDecayConfig extends Pick<LearningRateConfig, 'steps' | 'schedule'> {
  /** Decoupled, on matrices only (not on norms and the embedding table). */
  weightDecay: number;
  /** two-stage: that of the second half of the run. */
  stageTwoWeightDecay: number | null;
}

/**
 * The rate of step `step` (from 1): lr * step / warmupSteps during the warm-up, then the schedule; exactly minLr at the
 * last step and after it. `two-stage` falls on a straight line from lr towards minLr at the end of the run, and jumps in its middle
 * to the line from stageTwoLr.
 */
export function learningRateAt(config: LearningRateConfig, step: number): number {
  if (step <= config.warmupSteps) return (config.lr * step) / config.warmupSteps;
  if (step >= config.steps) return config.minLr;
  const span = config.lr - config.minLr;
  if (config.schedule === 'cosine') {
    const progress = (step - config.warmupSteps) / (config.steps - config.warmupSteps);
    return config.minLr + span * 0.5 * (1 + Math.cos(Math.PI * progress));
  }
  if (config.schedule === 'two-stage') {
    const peak = isStageTwo(config, step) ? config.stageTwoLr! : config.lr;
    return config.minLr + ((peak - config.minLr) * (config.steps - step)) / (config.steps - config.warmupSteps);
  }
  const decaySteps = Math.max(1, Math.round(config.decayShare * config.steps));
  return config.minLr + span * Math.min(1, (config.steps - step) / decaySteps);
}

/** The weight decay of step `step` (from 1). */
export function weightDecayAt(config: WeightDecayConfig, step: number): number {
  return config.schedule === 'two-stage' && isStageTwo(config, step) ? config.stageTwoWeightDecay! : config.weightDecay;
}

function isStageTwo({ steps }: { steps: number }, step: number): boolean {
  return step > steps / 2;
}

/**
 * The factor, 0 .. 1, of the L1 term on hidden activations at step `step` (from 1): half a wave from 0 to 1 over `rampSteps` steps, slow at both ends, then 1;
 * always 1 without a ramp. So gates close one by one instead of all at once (ProSparse, arXiv 2402.13516, has several such waves in a row).
 */
export function l1ScaleAt(rampSteps: number, step: number): number {
  return step >= rampSteps ? 1 : 0.5 * (1 - Math.cos((Math.PI * step) / rampSteps));
}

/**
 * The factor, 0 .. 1, by which the configured sparsity of every point is multiplied at step `step` (from 1): grows
 * linearly over `rampSteps` steps and then stays 1; always 1 without a ramp.
 */
export function sparsityScaleAt(rampSteps: number, step: number): number {
  return step >= rampSteps ? 1 : step / rampSteps;
}
