/** npm start: builds what has changed, then runs `qsparse quickstart`; arguments after `--` are passed on. */

import { spawn } from 'node:child_process';
import { buildAll } from './lib/build-all.mjs';
import { inRoot, main } from './lib/project.mjs';

await main(async () => {
  await buildAll();
  const child = spawn(process.execPath, [inRoot('dist/cli/main.js'), 'quickstart', ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  // Ctrl-C reaches the child as well, which stops cleanly; this process waits for it to say how it ended.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  process.exitCode = await new Promise((resolve) => child.on('close', (code) => resolve(code ?? 1)));
});
