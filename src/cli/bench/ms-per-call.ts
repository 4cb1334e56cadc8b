/** The time of one call, from as many as fit into the time of one measurement. */

/** One measurement takes at least so long. */
const MEASURE_MS = 50;

export function msPerCall(work: () => void): number {
  const begin = performance.now();
  let calls = 0;
  do {
    work();
    calls++;
  } while (performance.now() - begin < MEASURE_MS);
  return (performance.now() - begin) / calls;
}
