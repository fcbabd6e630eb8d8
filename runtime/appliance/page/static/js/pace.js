// How often something is fetched again: soon after news, and never faster than it may be.

/** Return a function that asks for `work` to be done: at once where it has rested for `least_ms`,
 *  else when it has, however often it was asked. Work is never done twice at a time, and not while
 *  nobody sees the page. */
export function paced(work, least_ms, signal) {
  let timer = 0, busy = false, again = false, last = -Infinity;
  async function run() {
    timer = 0;
    if (signal?.aborted) return;
    if (document.hidden) { again = true; return; }
    busy = true;
    last = performance.now();
    try { await work(); } catch { /* the stream tells when the connection is lost */ }
    busy = false;
    if (again) { again = false; ask(); }
  }
  function ask() {
    if (signal?.aborted) return;
    if (busy) { again = true; return; }
    if (timer === 0) timer = setTimeout(run, Math.max(0, last + least_ms - performance.now()));
  }
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && again) { again = false; ask(); }
  }, { signal });
  return ask;
}
