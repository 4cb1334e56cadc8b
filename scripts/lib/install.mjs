/**
 * Brings node_modules in line with package-lock.json.
 *
 * `npm ci` only where it is needed: npm writes what it installed to node_modules/.package-lock.json, and that is compared with the
 * lock file, so that a folder installed by hand counts too. Uses nothing but Node's own modules.
 */

import { existsSync, readFileSync } from 'node:fs';
import { executeOrFail, inRoot } from './project.mjs';

export async function ensureInstalled() {
  if (isInstalled()) return 'node_modules is current';
  const [command, before] = npmCommand();
  await executeOrFail(command, [...before, 'ci', '--no-audit', '--no-fund']);
  return 'npm ci';
}

/** npm as the program of Node that it is, where it tells which: on Windows the command is a script, which no process can be made of. */
function npmCommand({ npm_execpath: program } = process.env) {
  return program?.endsWith('npm-cli.js') ? [process.execPath, [program]] : ['npm', []];
}

function isInstalled() {
  const installedPath = inRoot('node_modules/.package-lock.json');
  if (!existsSync(installedPath)) return false;
  const wanted = JSON.parse(readFileSync(inRoot('package-lock.json'), 'utf8')).packages;
  const installed = JSON.parse(readFileSync(installedPath, 'utf8')).packages;
  return Object.entries(wanted).every(([name, entry]) => {
    if (name === '') return true;
    // Optional packages are those of other platforms; npm leaves them out.
    if (installed[name] === undefined) return entry.optional === true;
    return installed[name].version === entry.version && existsSync(inRoot(name));
  });
}
