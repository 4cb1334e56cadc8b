/**
 * pageShell: the HTML file around a page's body: one that needs no network and cannot ask for it.
 *
 * Its content security policy forbids every request, so that a page can be mailed and opened by anyone; style, data and script stand in it.
 */

import { escapeHtml, jsonForScript } from './escape.ts';
import type { PageAssets } from './page-assets.ts';

export interface PageParts {
  /** Plain text. */
  readonly title: string;
  /** Inside of main, escaped already. */
  readonly body: string;
  /** The same of the footer. */
  readonly footer: string;
  /** What the script reads, by the id of its element. */
  readonly data: Readonly<Record<string, unknown>>;
  readonly assets: PageAssets;
}

export function pageShell({ title, body, footer, data, assets }: PageParts): string {
  const policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'";
  const elements = Object.entries(data).map(
    ([id, value]) => `<script type="application/json" id="${id}">${jsonForScript(value)}</script>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>${escapeHtml(title)}</title>
<style>${assets.style}</style>
</head>
<body>
<main>
${body}
</main>
<footer>${footer}</footer>
${elements.join('\n')}
<script>${assets.script}</script>
</body>
</html>
`;
}
