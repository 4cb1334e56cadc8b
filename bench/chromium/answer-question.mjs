/** How a page that measures talks to the server of bench/lib/chromium.mjs: takes its question, and gives back what it measured or why it could not. */

export async function answerQuestion(measure) {
  const answer = await fetch('/question')
    .then((response) => response.json())
    .then(measure)
    .then(
      (value) => ({ value }),
      (error) => ({ error: error.stack ?? String(error) }),
    );
  await fetch('/answer', { method: 'POST', body: JSON.stringify(answer) });
}
