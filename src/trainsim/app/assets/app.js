"use strict";
// While a question is in work: ask how far it is, show it, and load the answer once it is there. Without a script the page reloads itself.
(() => {
  const work = document.querySelector("[data-poll]");
  if (!work) return;
  const step = document.getElementById("step"), bar = document.getElementById("bar");
  const ask = async () => {
    let found;
    try {
      found = await (await fetch(work.dataset.poll)).json();
    } catch {
      step.textContent = "The app no longer answers; start it again, then reload this page.";
      return;
    }
    if (found.state === "done") return location.reload();
    if (found.state === "none") return location.replace(work.dataset.stopped);
    const words = found.total ? `${found.words}: ${found.done} of ${found.total}` : found.words;
    if (step.textContent !== words) step.textContent = words;
    if (found.total) Object.assign(bar, { max: found.total, value: found.done });
    else bar.removeAttribute("value");
    setTimeout(ask, 300);
  };
  setTimeout(ask, 300);
})();
