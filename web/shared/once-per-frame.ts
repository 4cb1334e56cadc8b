/**
 * oncePerFrame: `work` for what follows many small changes and may wait for the next picture of the screen: it runs once a frame, however often it is
 * asked for, and not at all while nobody sees the page.
 */

export function oncePerFrame(work: () => void): () => void {
  let isAsked = false;
  return () => {
    if (isAsked) return;
    isAsked = true;
    requestAnimationFrame(() => {
      isAsked = false;
      work();
    });
  };
}
