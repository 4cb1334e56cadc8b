/**
 * turnEventLoop: lets what waits run (signals, sockets, timers) between two stretches of synchronous work.
 *
 * `setImmediate` costs microseconds. Browsers have none, and hold a timer back for 4 ms from the fifth in a row on, so that
 * there a message to oneself takes its place.
 */

/** Resolves after one turn of the event loop. */
export function turnEventLoop(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') {
      setImmediate(resolve);
      return;
    }
    const { port1, port2 } = new MessageChannel();
    const onMessage = () => {
      port1.close(); // an open port would keep a process alive
      resolve();
    };
    port1.addEventListener('message', onMessage, { once: true });
    port1.start();
    port2.postMessage(null);
  });
}
