/** A training that broke down: a loss or gradient that is not finite, or a loss that has left its curve. Other settings, most often a lower rate, would go on. */

import { TrainingError } from '../util/errors.ts';

export class DivergenceError extends TrainingError {}
