/**
 * eventStream: events as the body of a response, server-sent events with JSON data, at the pace of the reader.
 *
 * The next event is asked for when the reader has taken the last one, so that a slow reader holds one event here and its pieces of text in their queue (answer.ts),
 * and nobody waits for it. One that takes nothing for long while there is something is cut off.
 */

import { STALLED_READER_MS } from './limits.ts';

export interface EventStreamOptions {
  /** The reader is gone, or takes nothing any more: what makes the events should end. */
  onLeave: (cause: 'client' | 'stalled') => void;
  /** Called once, whatever ended it. */
  onClose: () => void;
  stalledMs?: number;
}

/** `events` are the data of each event; what they throw is the caller's to turn into a last event. */
export function eventStream(
  events: AsyncGenerator<string, void>,
  { onLeave, onClose, stalledMs = STALLED_READER_MS }: EventStreamOptions,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let watch: NodeJS.Timeout | undefined;
  let isClosed = false;
  const close = () => {
    clearTimeout(watch);
    if (!isClosed) onClose();
    isClosed = true;
  };
  const leave = (cause: 'client' | 'stalled') => {
    onLeave(cause);
    void events.return();
    close();
  };
  return new ReadableStream({
    async pull(controller) {
      clearTimeout(watch);
      const next = await events.next();
      if (isClosed) return;
      if (next.done) {
        close();
        controller.close();
        return;
      }
      controller.enqueue(encoder.encode(`data: ${next.value}\n\n`));
      if ((controller.desiredSize ?? 1) <= 0) watch = setTimeout(() => leave('stalled'), stalledMs);
    },
    cancel: () => leave('client'),
  });
}
