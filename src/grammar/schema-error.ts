/** The one error of this layer: a place of the schema as a JSON pointer, what was expected there, and what is. */

import { UsageError } from '../util/errors.ts';

/** Messages stay readable whatever the names of a schema are. */
const MOST_POINTER = 200;

/** `message` reads like "minLength: expected a whole number, got -1." */
export function refusal(pointer: string, message: string): UsageError {
  const place = pointer.length <= MOST_POINTER ? pointer : `${pointer.slice(0, MOST_POINTER)}...`;
  return new UsageError('grammar', `schema at ${JSON.stringify(place)}: ${message}`);
}
