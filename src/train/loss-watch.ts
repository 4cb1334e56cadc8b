/**
 * Watches the training loss for divergence: a loss far above the recent median for several steps in a row.
 *
 * The median of the last 64 losses ignores single bad batches and falls with the curve; losses above the threshold do not
 * enter it, or a plateau of broken steps would become the new normal. Window and streak are saved with the checkpoint, so
 * that a resumed run stops where the uninterrupted one does.
 */

import { median } from '../util/median.ts';

/** Long enough for a steady median, short enough to follow the steep beginning of a run. */
const WINDOW = 64;
/** Below this many losses the beginning of a run is too steep to say what is usual. */
const LEAST = 16;

export class LossWatch {
  readonly #nats: number;
  readonly #steps: number;
  readonly #window: number[];
  #streak: number;

  /** `nats`: how far above the median is a spike; `steps`: how many in a row are divergence, 0 for never. */
  constructor(options: { nats: number; steps: number; window?: readonly number[]; streak?: number }) {
    this.#nats = options.nats;
    this.#steps = options.steps;
    this.#window = [...(options.window ?? [])];
    this.#streak = options.streak ?? 0;
  }

  /** Spikes in a row up to the last loss. Above 0 the state is suspect: no checkpoint is due on it. */
  get streak(): number {
    return this.#streak;
  }

  /** The losses that the median is taken of, oldest first, for the checkpoint. */
  get window(): readonly number[] {
    return this.#window;
  }

  /** Forgets all losses: what comes next is not to be measured by them. */
  clear(): void {
    this.#window.length = 0;
    this.#streak = 0;
  }

  /** Takes in the loss of a step; returns the median that it broke with where the run has diverged, else null. */
  observe(loss: number): number | null {
    const usual = this.#window.length < LEAST ? Number.POSITIVE_INFINITY : median(this.#window);
    if (loss > usual + this.#nats) {
      this.#streak++;
      return this.#steps > 0 && this.#streak >= this.#steps ? usual : null;
    }
    this.#streak = 0;
    this.#window.push(loss);
    if (this.#window.length > WINDOW) this.#window.shift();
    return null;
  }
}
