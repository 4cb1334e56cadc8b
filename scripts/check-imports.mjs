/** Checks that every import of src/ and web/ keeps to the layers (scripts/lib/import-rules.mjs); prints file, import and rule. */

import { checkPages, checkTree } from './lib/import-rules.mjs';
import { inRoot } from './lib/project.mjs';

const problems = [
  ...checkTree(inRoot('src')).map((problem) => ({ ...problem, folder: 'src' })),
  ...checkPages(inRoot('web'), inRoot('src')).map((problem) => ({ ...problem, folder: 'web' })),
];
for (const { folder, file, specifier, problem } of problems) {
  console.log(`${folder}/${file}: imports ${specifier}: ${problem}`);
}
console.log(problems.length === 0 ? 'imports keep to the layers' : `${problems.length} imports break the layers`);
process.exitCode = problems.length === 0 ? 0 : 1;
