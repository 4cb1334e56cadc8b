/** Everything that must stand before the program or its tests run; each part only where something has changed. */

import { ensureInstalled } from './install.mjs';
import { step } from './project.mjs';

export async function buildAll() {
  await step('install', ensureInstalled);
  // Imported late: before the installation they could not be.
  const { buildNative } = await import('./native.mjs');
  const { buildWasm } = await import('./wasm.mjs');
  const { buildTypeScript } = await import('./typescript.mjs');
  const results = await Promise.allSettled([
    step('native kernels', buildNative),
    step('wasm kernels', buildWasm),
    step('typescript', buildTypeScript),
  ]);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  const { buildWeb } = await import('./web.mjs');
  await step('pages', buildWeb);
}
