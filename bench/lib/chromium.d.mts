/** The types of what tests take from chromium.mjs. */

export function chromiumFile(given?: string): string;
