/**
 * The native backend against the reference, where the addon was built: the instruction set that it chooses with one, two and
 * three threads, and every other one that this CPU runs with one.
 */

import { createNativeBackend } from '../../src/backends/native/native-backend.ts';
import { missingReason } from './built-backends.ts';
import { runConformance } from './conformance.ts';
import { runWhereBuilt } from './run-where-built.ts';

runWhereBuilt('native');

if (missingReason('native') === null) {
  const { loadAddon } = await import('../../src/backends/native/addon.ts');
  const chosen = createNativeBackend({ threads: 1 });
  for (const isa of loadAddon().supportedIsas) {
    if (chosen.description.includes(` ${isa},`)) continue;
    runConformance(`native ${isa}`, (threads) => createNativeBackend({ threads, isa }), { threads: [1] });
  }
  chosen.dispose();
}
