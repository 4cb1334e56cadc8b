/**
 * A part of a study: cases measured one after the other into one result file, which is written after each.
 *
 * A case is `{ key, asked, measure }`: `key` names its rows, `asked` is the question in words without paths, `measure` answers it.
 * Started again, a study goes on with the cases that are missing or were asked differently.
 */

import path from 'node:path';
import { processorFlags, readJson, writeJson } from './processes.mjs';

export async function measurePart(bench, part, cases, folder) {
  const file = path.join(folder, `${part}.json`);
  const done = new Map((readJson(file)?.cases ?? []).map((entry) => [entry.key, entry]));
  for (const { key, asked, measure } of cases) {
    if (done.get(key)?.asked === asked) {
      console.log(`${part}: ${key} is on file`);
      continue;
    }
    console.log(`${part}: ${key}`);
    const begin = performance.now();
    done.set(key, { key, asked, processor: processorFlags(), ...(await measure()) });
    writeJson(file, { bench, part, cases: [...done.values()] });
    console.log(`${part}: ${key} took ${Math.round((performance.now() - begin) / 1000)} s`);
  }
}
