/** Numbers as the tables of the documents show them; `-` for what is not there. */

const MIB = 2 ** 20;

export const percent = (share, digits = 0) => (Number.isFinite(share) ? `${(100 * share).toFixed(digits)} %` : '-');
export const times = (ratio) => (Number.isFinite(ratio) ? ratio.toFixed(2) : '-');
export const whole = (value) => Math.round(value).toLocaleString('en-US');
export const memory = (bytes) => `${whole(bytes / MIB)} MiB`;
/** A difference, with its sign; of what rounds to zero too. */
export const signed = (value, digits) => `${value < 0 ? '-' : '+'}${Math.abs(value).toFixed(digits)}`;
