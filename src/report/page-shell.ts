/**
 * pageShell: the HTML file around a page's body: one that needs no network and cannot ask for it.
 *
 * Its content security policy forbids every request, so that a page can be mailed and opened by anyone; styles and scripts stand in it.
 */

import { escapeHtml } from './escape.ts';
import { PAGE_STYLE } from './page-style.ts';

export interface PageParts {
  /** Plain text. */
  readonly title: string;
  /** Inside of main, escaped already. */
  readonly body: string;
  /** In front of the style that all pages share, and behind it. */
  readonly styleBefore?: string;
  readonly styleAfter?: string;
  /** Behind main, in this order. */
  readonly scripts?: readonly string[];
}

export function pageShell({ title, body, styleBefore = '', styleAfter = '', scripts = [] }: PageParts): string {
  const policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'";
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>${escapeHtml(title)}</title>
<style>${styleBefore}${PAGE_STYLE}${styleAfter}</style>
</head>
<body>
<main>
${body}
</main>
${scripts.map((script) => `${script}\n`).join('')}</body>
</html>
`;
}
