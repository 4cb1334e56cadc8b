/**
 * Checks that every import of src/ and web/ keeps to the layers (scripts/lib/import-rules.mjs), and that the table allows no more than is done;
 * prints file, import and rule.
 */

import { checkPages, checkTree, unusedPermissions } from './lib/import-rules.mjs';
import { inRoot } from './lib/project.mjs';

const problems = [
  ...checkTree(inRoot('src')).map((problem) => ({ ...problem, folder: 'src' })),
  ...checkPages(inRoot('web'), inRoot('src')).map((problem) => ({ ...problem, folder: 'web' })),
];
for (const { folder, file, specifier, problem } of problems) {
  console.log(`${folder}/${file}: imports ${specifier}: ${problem}`);
}
const unused = unusedPermissions(inRoot('src'));
for (const sentence of unused) console.log(`scripts/lib/import-rules.mjs: ${sentence}`);
console.log(problems.length === 0 ? 'imports keep to the layers' : `${problems.length} imports break the layers`);
process.exitCode = problems.length + unused.length === 0 ? 0 : 1;
