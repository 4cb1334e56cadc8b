/** Switches of a pass: which exact zeros its products skip. Measurements turn them off, one by one or all. */

/** Which zeros are skipped: all, but for measurements of what each of them gains. Results are the same but for rounding. */
export interface ZeroSkips {
  /** Y = X W: the zeros of X, selected or natural. */
  readonly forward: boolean;
  /** dW = X^T dY: the zeros of X or dY. */
  readonly weightGradient: boolean;
  /** dX = dY W^T: the zeros of dY behind closed gates. */
  readonly inputGradient: boolean;
  /** up is computed behind open gates only. */
  readonly up: boolean;
  /** The gradient of the hidden activations is computed behind open gates only. */
  readonly hiddenGradient: boolean;
}

export const ALL_SKIPS: ZeroSkips = {
  forward: true,
  weightGradient: true,
  inputGradient: true,
  up: true,
  hiddenGradient: true,
};

/** What a dense program does. */
export const NO_SKIPS: ZeroSkips = {
  forward: false,
  weightGradient: false,
  inputGradient: false,
  up: false,
  hiddenGradient: false,
};
