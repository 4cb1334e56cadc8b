/**
 * Watches the training loss for divergence: a loss far above the recent median for several steps in a row.
 *
 * The median of the last 64 losses ignores single bad batches and falls with the curve; losses above the threshold do not
 * enter it, or a plateau of broken steps would become the new normal. The window is saved with the checkpoint, so that a
 * resumed run stops where the uninterrupted one does.
 */

/** Long enough for a steady median, short enough to follow the steep beginning of a run. */
const WINDOW = 64;
/** Below this many losses the beginning of a run is too steep to say what is usual. */
const LEAST = 16;

export class LossWatch {
  readonly #nats: number;
  readonly #steps: number;
  readonly #window: number[];
  #streak = 0;

  /** `nats`: how far above the median is a spike; `steps`: how many in a row are divergence, 0 for never. */
  constructor(options: { nats: number; steps: number; window?: readonly number[] }) {
    this.#nats = options.nats;
    this.#steps = options.steps;
    this.#window = [...(options.window ?? [])];
  }

  /** True where the last loss was a spike: the state is suspect and should not be saved. */
  get suspect(): boolean {
    return this.#streak > 0;
  }

  /** The losses that the median is taken of, oldest first, for the checkpoint (which is never written while suspect). */
  get window(): readonly number[] {
    return this.#window;
  }

  /** Takes in the loss of a step; returns the median that it broke with where the run has diverged, else null. */
  observe(loss: number): number | null {
    const median = this.#window.length < LEAST ? Number.POSITIVE_INFINITY : medianOf(this.#window);
    if (loss > median + this.#nats) {
      this.#streak++;
      return this.#steps > 0 && this.#streak >= this.#steps ? median : null;
    }
    this.#streak = 0;
    this.#window.push(loss);
    if (this.#window.length > WINDOW) this.#window.shift();
    return null;
  }
}

function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}
