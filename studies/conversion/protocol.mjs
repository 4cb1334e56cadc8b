/** How a part of an entry is measured: it stands beside each result, and a result of another protocol is measured again. */

import { isOfLength, isTrained } from './plan.mjs';

export function protocolOf({ entry, part }, settings) {
  const { tokens } = settings;
  return {
    ...ownProtocol(part, settings),
    ...(isOfLength(entry) && { trainedTokens: tokens }),
    ...(isTrained(entry) && part !== 'training' && { checkpoint: 'last' }),
  };
}

function ownProtocol(part, { texts, tasks, limit, maxTokens, window, prefix }) {
  if (part === 'perplexity') {
    const names = texts.perplexity.map(({ name }) => name);
    return { texts: names, maxTokens, window, ...(prefix && { prefix }) };
  }
  return part === 'tasks' ? { tasks, limit } : {};
}

/** Is a unit on file, measured as the settings say? */
export function isMeasured(models, unit, settings) {
  const result = models[unit.entry.name]?.[unit.part];
  return result !== undefined && JSON.stringify(result.protocol) === JSON.stringify(protocolOf(unit, settings));
}
