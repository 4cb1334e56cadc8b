/** A value as a field of a line of CSV: in quotes where it has to be, with quotes inside doubled. */
export function csvField(value: string | number): string {
  const text = String(value);
  return text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
