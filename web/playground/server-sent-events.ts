/** The data of the events of a text/event-stream, however its bytes are divided into chunks. Source: HTML standard, section 9.2. */

/** Of one event; far above any chunk of an answer. */
const MOST_CHARACTERS = 2 ** 22;

/** Ends with the body; what it holds behind the last empty line is no event. */
export async function* serverSentEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  let data: string[] = [];
  try {
    for (;;) {
      const next = await reader.read();
      if (next.done) return;
      text += decoder.decode(next.value, { stream: true });
      // A carriage return at the end may be half of a line end.
      const lines = text.split(/\r\n|\n|\r(?!$)/);
      text = lines.pop()!;
      if (text.length > MOST_CHARACTERS) throw new Error('The server sent an event that is too long.');
      for (const line of lines) {
        if (line === '') {
          if (data.length > 0) yield data.join('\n');
          data = [];
        } else if (line.startsWith('data:')) {
          data.push(line.slice(line[5] === ' ' ? 6 : 5));
        }
      }
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
