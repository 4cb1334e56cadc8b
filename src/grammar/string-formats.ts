/**
 * STRING_FORMATS: the values of `format` as patterns, each with all of its rules, so that no text of it is refused by a validator.
 *
 * Dates are those of the calendar, with leap years; times have no leap second; a host name has at most four parts of at most 62 characters, which keeps it
 * within 253; an address of mail is a plain local part and such a host name. Sources: RFC 3339, 1123, 4291, 5322, 9562; ISO 8601 for durations.
 */

const NON_LEAP_DATE = `[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))`;
const LEAP_YEAR = `(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)`;
const DATE = `(?:${NON_LEAP_DATE}|${LEAP_YEAR}-02-29)`;
const CLOCK = '(?:[01][0-9]|2[0-3]):[0-5][0-9]';
const TIME = String.raw`${CLOCK}:[0-5][0-9](?:\.[0-9]{1,9})?(?:Z|[+-]${CLOCK})`;
const LABEL = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,60}[A-Za-z0-9])?';
const HOST = String.raw`${LABEL}(?:\.${LABEL}){0,3}`;
const ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}";
const BYTE = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
const IPV4 = String.raw`${BYTE}(?:\.${BYTE}){3}`;
const HEX = '[0-9A-Fa-f]';
const GROUP = `${HEX}{1,4}`;
const AMOUNT = '[0-9]{1,6}';
const TIME_PART = `T(?:${AMOUNT}H(?:${AMOUNT}M(?:${AMOUNT}S)?)?|${AMOUNT}M(?:${AMOUNT}S)?|${AMOUNT}S)`;
const DATE_PART = `(?:${AMOUNT}Y(?:${AMOUNT}M(?:${AMOUNT}D)?)?|${AMOUNT}M(?:${AMOUNT}D)?|${AMOUNT}D)`;

/** Eight groups, or fewer around one `::`; an IPv4 address may stand for the last two. */
function ipv6(): string {
  const forms = [`(?:${GROUP}:){7}${GROUP}`, `(?:${GROUP}:){6}${IPV4}`];
  for (let before = 0; before <= 6; before++) {
    const left = before === 0 ? '' : `${GROUP}(?::${GROUP}){${before - 1}}`;
    const most = 7 - before;
    forms.push(`${left}::(?:${GROUP}(?::${GROUP}){0,${most - 1}})?`);
    if (most > 2) forms.push(`${left}::(?:${GROUP}:){0,${most - 2}}${IPV4}`);
  }
  forms.push(`${GROUP}(?::${GROUP}){6}::`);
  return forms.join('|');
}

export const STRING_FORMATS: ReadonlyMap<string, string> = new Map(
  [
    ['date-time', `${DATE}T${TIME}`],
    ['date', DATE],
    ['time', TIME],
    ['duration', `P(?:${DATE_PART}(?:${TIME_PART})?|${TIME_PART}|${AMOUNT}W)`],
    ['uuid', `${HEX}{8}(?:-${HEX}{4}){3}-${HEX}{12}`],
    ['email', String.raw`${ATOM}(?:\.${ATOM}){0,2}@${HOST}`],
    ['hostname', HOST],
    ['ipv4', IPV4],
    ['ipv6', ipv6()],
  ].map(([name, source]) => [name, `^(?:${source})$`]),
);
