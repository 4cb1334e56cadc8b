/** npm run build: installs what is missing, builds the C kernels (native and wasm) and the TypeScript into dist/. */

import { buildAll } from './lib/build-all.mjs';
import { main } from './lib/project.mjs';

await main(buildAll);
