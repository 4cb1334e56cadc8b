/**
 * The error classes of the project.
 *
 * A message is one line: `[where] what is wrong: expected A, got B. What to do.` The command line prints it without a
 * stack and exits with the class's code, so a message must stand alone. Fields carry the parts for programs.
 */

/** Base of every error that a user can cause; `exitCode` is what the command line ends with. */
export class QSparseError extends Error {
  readonly where: string;
  readonly exitCode: 1 | 2 = 1;

  constructor(where: string, message: string, options?: ErrorOptions) {
    super(`[${where}] ${message}`, options);
    this.name = new.target.name;
    this.where = where;
  }
}

/** Wrong use of an option, a preset, a configuration value: the command ends with 2. */
export class UsageError extends QSparseError {
  override readonly exitCode = 2;
}

/** A shape, dtype or size that an op cannot take. */
export class ShapeError extends QSparseError {}

/** A file that is missing, truncated, corrupt, of another version or of other shapes. */
export class FormatError extends QSparseError {
  readonly path: string | undefined;

  constructor(where: string, message: string, path?: string, options?: ErrorOptions) {
    super(where, message, options);
    this.path = path;
  }
}

/** A backend that cannot be used, or a kernel that it does not have. Never replaced by another one silently. */
export class BackendError extends QSparseError {}

/** Training that went wrong: NaN, a loss spike, a directory in use. */
export class TrainingError extends QSparseError {}

/** No room at the moment, for example in a queue: the same request may succeed later. */
export class BusyError extends QSparseError {}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A message of ours without the place in front of it, for whoever names another one. */
export function withoutPlace(message: string): string {
  return message.replace(/^\[\w+\] /, '');
}

/** The candidate nearest to `name` by edit distance, or undefined where none is near enough to be a misspelling. */
export function nearestName(name: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = previous[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(previous[j] + 1, current[j - 1] + 1, substitution));
    }
    previous = current;
  }
  return previous[b.length];
}
