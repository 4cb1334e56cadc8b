/** constraintOf: which tokens `response_format` leaves to a sampler. */

import type { AllowedTokens } from '../infer/sampler.ts';
import { ApiError } from './api-error.ts';
import type { SamplingFields } from './sampling-fields.ts';
import type { ServedModel } from './served-model.ts';

/** Makes the constraint of each choice; null: none. */
export function constraintOf(
  format: SamplingFields['response_format'],
  _model: ServedModel,
): (() => AllowedTokens) | null {
  if (!format || format.type === 'text') return null;
  const message = `response_format: ${format.type} is not supported by this server.`;
  throw new ApiError(400, message, { param: 'response_format', code: 'unsupported' });
}
