/** The limits of requests, in one place; docs/server.md lists them. */

/** Bytes of a body. */
export const MOST_BODY_BYTES = 2 * 2 ** 20;

/** Texts of one request: prompts times `n`. */
export const MOST_CHOICES = 64;

/** Characters of a prompt for each token of the context: more cannot fit, and need not be encoded to know that. */
export const MOST_CHARACTERS_PER_TOKEN = 64;

export const MOST_MESSAGES = 4096;
/** Parts of a message's content. */
export const MOST_PARTS = 1024;
export const MOST_STOPS = 16;
export const MOST_STOP_CHARACTERS = 512;
export const MOST_BIASES = 1024;
export const MOST_LOGPROBS = 20;
/** Of any model, in a sparsity by layer. */
export const MOST_LAYERS = 1024;

/** A reader that takes nothing for so long while there is something to take is gone. */
export const STALLED_READER_MS = 60_000;
