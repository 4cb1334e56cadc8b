/** What is wrong with a file of Chrome trace events: schema, order and nesting, judged from the file alone. */

export interface TracedEvent {
  name: string;
  cat: string;
  ts: number;
  dur: number;
}

/** Whether an event may lie in another. */
type MayHold = (inner: TracedEvent, outer: TracedEvent) => boolean;

/** A line for each problem, none where all is well. */
export function traceProblems(events: unknown, mayHold: MayHold): string[] {
  if (!Array.isArray(events)) return ['no array'];
  const problems: string[] = [];
  const open: TracedEvent[] = [];
  let last = 0;
  for (const [e, event] of events.entries()) {
    const problem = (what: string) => problems.push(`event ${e} (${event.name}): ${what}`);
    if (typeof event.name !== 'string' || event.pid !== 1 || event.tid !== 1) problem('name, pid or tid');
    if (typeof event.args !== 'object') problem('args');
    if (event.ph === 'M') continue;
    if (event.ph !== 'X' || typeof event.cat !== 'string') problem('ph or cat');
    if (!(event.ts >= 0 && event.dur >= 0)) problem(`ts ${event.ts}, dur ${event.dur}`);
    if (startOf(event) < last) problem('begins before the one above');
    last = startOf(event);
    while (open.length > 0 && !beginsInside(open[open.length - 1], event, mayHold)) open.pop();
    const outer = open[open.length - 1];
    if (outer && !mayHold(event, outer)) problem(`lies in ${outer.name}`);
    if (outer && endOf(event) > endOf(outer)) problem(`ends after ${outer.name}, in which it begins`);
    open.push(event);
  }
  return problems;
}

/** At the very end of an event one of no length may be in it or behind it. */
function beginsInside(outer: TracedEvent, event: TracedEvent, mayHold: MayHold): boolean {
  if (startOf(event) < endOf(outer)) return true;
  return startOf(event) === endOf(outer) && event.dur === 0 && mayHold(event, outer);
}

/** Nanoseconds, in which the file is exact. */
function startOf({ ts }: TracedEvent): number {
  return Math.round(ts * 1000);
}

function endOf({ ts, dur }: TracedEvent): number {
  return Math.round(ts * 1000) + Math.round(dur * 1000);
}
