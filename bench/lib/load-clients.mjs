/**
 * Clients that load a server of OpenAI's completions: so many at a time, each streaming one text after the other, with the times of all pieces; and
 * what comes of it in numbers.
 *
 * A client is a fetch and a loop over its events, so that what is measured is the server: the official client would parse in the same
 * process that takes the times.
 */

/** The bodies that requests are made of, in turn; prompts of several lengths with beginnings in common, greedy and seeded. */
export function loadBodies(model, maxTokens) {
  const subjects = [
    'a little girl named Lily',
    'a fox who could not sleep',
    'two friends and a boat',
    'the oldest tree',
  ];
  const openings = ['Once upon a time there was', 'Tell me about', 'One day in the forest,', 'Nobody had ever seen'];
  return openings.flatMap((opening, o) =>
    subjects.map((subject, s) => ({
      model,
      prompt: `${opening} ${subject}.${' It was a long day.'.repeat(s * 4)} Then`,
      max_tokens: maxTokens - 8 * ((o + s) % 3),
      stream: true,
      ...((o + s) % 2 === 0 ? { temperature: 0 } : { temperature: 0.8, seed: 100 * o + s }),
    })),
  );
}

/**
 * Sends `requests` of `bodies` in turn, `clients` at a time. Of each: which body, its text, its pieces, times of the first and between them in ms, and
 * what went wrong (null: nothing). `onEnd` is called after each.
 */
export async function loadServer({ url, bodies, clients, requests, headers = {}, onEnd = () => {} }) {
  const records = [];
  let next = 0;
  const client = async () => {
    while (next < requests) {
      const body = next++ % bodies.length;
      records.push({ body, ...(await streamText(url, bodies[body], headers)) });
      onEnd(records.length);
    }
  };
  const begin = performance.now();
  await Promise.all(Array.from({ length: clients }, client));
  return { seconds: (performance.now() - begin) / 1000, records };
}

async function streamText(url, body, headers) {
  const begin = performance.now();
  const record = { text: '', pieces: 0, firstMs: null, gapsMs: [], error: null };
  let last = begin;
  try {
    const response = await fetch(`${url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${response.status}: ${(await response.text()).slice(0, 200)}`);
    let isDone = false;
    for await (const data of eventsOf(response.body)) {
      if (data === '[DONE]') {
        isDone = true;
        continue;
      }
      const { choices, error } = JSON.parse(data);
      if (error) throw new Error(error.message);
      const text = choices[0]?.text ?? '';
      if (text === '') continue;
      const now = performance.now();
      if (record.pieces++ === 0) record.firstMs = now - begin;
      else record.gapsMs.push(now - last);
      last = now;
      record.text += text;
    }
    if (!isDone) throw new Error('the stream ended before [DONE]');
  } catch (error) {
    // fetch says why in the cause alone.
    record.error = error.cause ? `${error.message}: ${error.cause.code ?? error.cause.message}` : error.message;
  }
  return record;
}

/** The data of server-sent events. */
export async function* eventsOf(stream) {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const bytes of stream) {
    rest += decoder.decode(bytes, { stream: true });
    const blocks = rest.split('\n\n');
    rest = blocks.pop();
    for (const block of blocks) if (block.startsWith('data: ')) yield block.slice(6);
  }
}

/** The numbers of a load: what was lost, what differs from the text of the body alone (`alone`, null: not compared), times and rates. */
export function summarise({ seconds, records }, alone) {
  const good = records.filter(({ error }) => error === null);
  const pieces = good.reduce((sum, record) => sum + record.pieces, 0);
  return {
    requests: records.length,
    lost: records.length - good.length,
    errors: [...new Set(records.flatMap(({ error }) => (error === null ? [] : [error])))].slice(0, 5),
    mixedUp: alone === null ? null : good.filter(({ body, text }) => text !== alone[body]).length,
    seconds,
    pieces,
    piecesPerSecond: pieces / seconds,
    firstMs: percentiles(good.flatMap(({ firstMs }) => (firstMs === null ? [] : [firstMs]))),
    betweenMs: percentiles(good.flatMap(({ gapsMs }) => gapsMs)),
  };
}

/** The smallest value that so many per cent do not exceed; null of nothing. */
export function percentiles(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share) => (sorted.length === 0 ? null : sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]);
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}
