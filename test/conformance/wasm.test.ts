/** The wasm backend against the reference, where it was built. */

import { runWhereBuilt } from './run-where-built.ts';

runWhereBuilt('wasm');
