// Refreshes the list of messages in place, so that the filter, the focus and the
// scroll position stay, and copies a code to the clipboard.
"use strict";

const SECONDS = 2;

function showCopyButtons() {
  if (!navigator.clipboard) return;
  document.querySelectorAll("[data-copy]").forEach((button) => { button.hidden = false; });
}

function ids(page) {
  return Array.from(page.querySelectorAll("#messages > li"), (item) => item.id);
}

function announce(before, after) {
  const fresh = after.filter((id) => !before.includes(id)).length;
  const news = fresh === 1 ? "1 new message" : `${fresh} new messages`;
  document.getElementById("news").textContent = fresh ? news : "";
}

function outcomes(page) {
  return Array.from(page.querySelectorAll("#messages .outcome"), (outcome) => outcome.textContent);
}

function isReplying() {
  return document.querySelector("#messages details[open]") !== null;
}

function replace(page) {
  const before = ids(document);
  const after = ids(page);
  const same = before.join() === after.join() && outcomes(document).join() === outcomes(page).join();
  if (same || isReplying()) return;
  const focused = document.activeElement.closest("#messages > li")?.id;
  for (const id of ["messages", "empty"]) {
    document.getElementById(id).replaceWith(page.getElementById(id));
  }
  showCopyButtons();
  if (focused) document.getElementById(focused)?.querySelector("button")?.focus();
  announce(before, after);
}

async function refresh() {
  if (!document.hidden) {
    try {
      const answer = await fetch(location.href);
      if (answer.ok) replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      // The sandbox is away: it may come back.
    }
  }
  setTimeout(refresh, SECONDS * 1000);
}

async function copy(event) {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  document.getElementById("news").textContent = `Copied ${button.dataset.copy}`;
  button.classList.add("done");
  setTimeout(() => button.classList.remove("done"), 1200);
}

document.addEventListener("click", copy);
showCopyButtons();
setTimeout(refresh, SECONDS * 1000);
