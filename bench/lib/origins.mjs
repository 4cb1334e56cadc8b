/** Where committed results come from: one line a machine, with the parts and commits that were measured there. */

/** `results` is `{ part: { cases } | null }`; a case has `machine`, `processor` and, where it is known, `commit`. */
export function originsText(results) {
  const origins = new Map();
  for (const [part, result] of Object.entries(results)) {
    for (const { machine, processor, commit } of result?.cases ?? []) {
      const line = describe(machine, processor);
      const found = origins.get(line) ?? { parts: new Set(), commits: new Set() };
      found.parts.add(part);
      if (commit) found.commits.add(commit);
      origins.set(line, found);
    }
  }
  if (origins.size === 0) return 'Nothing is measured yet.';
  return [...origins]
    .map(
      ([line, { parts, commits }]) => `- ${[...parts].join(', ')}: ${line}; commit ${[...commits].join(', ') || '-'}`,
    )
    .join('\n');
}

function describe(machine, processor) {
  const flags = Object.keys(processor ?? {}).filter((flag) => processor[flag]);
  const text = machine.text ?? `${machine.cpu}, ${machine.cores} cores, ${machine.os}, Node ${machine.node}`;
  return `${text}; ${machine.backend}; instructions: ${flags.join(', ') || 'unknown'}`;
}
