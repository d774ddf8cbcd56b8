"use strict";
// A button with data-post asks, sends its wish, and shows what became of it.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-post]");
  if (!button || !confirm(button.dataset.ask)) return;
  button.disabled = true;
  try {
    const answer = await fetch(button.dataset.post, { method: "POST", signal: AbortSignal.timeout(30000) });
    if (!answer.ok) alert((await answer.json()).error);
  } catch {
    alert("No answer from the broker");
  }
  location.reload();
});
