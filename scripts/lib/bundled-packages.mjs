/** Which packages a bundle holds, and under what licences: they ask to come along wherever their code goes. */

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { inRoot, StepError } from './project.mjs';

/** A plugin of Rolldown that adds the packages of what it bundles to `found`, a set of names. */
export function notePackages(found) {
  return {
    name: 'note-packages',
    generateBundle(_, bundle) {
      const ids = Object.values(bundle).flatMap(({ modules = {} }) => Object.keys(modules));
      for (const name of ids.map(packageOf)) if (name !== undefined) found.add(name);
    },
  };
}

/** `@scope/name` or `name` of a file below node_modules, else undefined. */
export function packageOf(id) {
  return /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(id.replaceAll('\\', '/'))?.[1];
}

/** The text of all licences, a heading each. Fails where a package has none. */
export function licencesOf(packages) {
  return [...packages].sort().map(licenceOf).join('\n\n');
}

function licenceOf(name) {
  const folder = inRoot(`node_modules/${name}`);
  const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
  if (file === undefined)
    throw new StepError(`${name} is bundled into the pages and has no licence file in ${folder}.`);
  const { version, license } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
  return `${name} ${version} (${license})\n\n${readFileSync(path.join(folder, file), 'utf8').trim()}`;
}
