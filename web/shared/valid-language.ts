/**
 * Imported before uPlot, which formats its numbers in `navigator.language` as it loads and throws where that names no language: Chromium calls the locale "C" of a machine `en-US@posix`,
 * and a page of that machine would stay empty.
 */

function namesLanguage(tag: string): boolean {
  try {
    return Intl.NumberFormat.supportedLocalesOf(tag).length > 0;
  } catch {
    return false;
  }
}

if (!namesLanguage(navigator.language)) Object.defineProperty(navigator, 'language', { value: 'en-US' });
