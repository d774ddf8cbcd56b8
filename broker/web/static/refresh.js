"use strict";
// Fetches the page again every ten seconds while somebody looks at it, and puts its new middle in place of the old.
const SECONDS = 10;
const freshness = document.getElementById("freshness");

async function refresh() {
  if (document.hidden || String(getSelection())) return;
  try {
    const answer = await fetch(location.href, { signal: AbortSignal.timeout(8000) });
    if (!answer.ok) throw new Error(answer.status);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.getElementById("main").replaceWith(document.adoptNode(fresh.getElementById("main")));
    freshness.textContent = "";
  } catch {
    if (!freshness.textContent)
      freshness.textContent = "No answer from the broker since " + new Date().toLocaleTimeString();
  }
}

setInterval(refresh, SECONDS * 1000);
document.addEventListener("visibilitychange", refresh);
