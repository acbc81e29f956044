// Refreshes the list of messages in place, which keeps the filter, the focus and the
// scroll position, and copies codes to the clipboard.
"use strict";

const REFRESH_SECONDS = 2;

function showCopyButtons() {
  if (!navigator.clipboard) return;
  document.querySelectorAll("[data-copy]").forEach((button) => { button.hidden = false; });
}

function ids(page) {
  return Array.from(page.querySelectorAll("#messages > li"), (item) => item.id);
}

function announce(before, after) {
  const count = after.filter((id) => !before.includes(id)).length;
  const text = count === 1 ? "1 new message" : `${count} new messages`;
  document.getElementById("status").textContent = count ? text : "";
}

function results(page) {
  return Array.from(page.querySelectorAll("#messages .result"), (result) => result.textContent);
}

function isReplying() {
  return document.querySelector("#messages details[open]") !== null;
}

function replace(page) {
  const before = ids(document);
  const after = ids(page);
  const same = before.join() === after.join() && results(document).join() === results(page).join();
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
      const response = await fetch(location.href);
      if (response.ok) replace(new DOMParser().parseFromString(await response.text(), "text/html"));
    } catch {
      // The sandbox is not reachable at the moment. Try again later.
    }
  }
  setTimeout(refresh, REFRESH_SECONDS * 1000);
}

async function copy(event) {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  document.getElementById("status").textContent = `Copied ${button.dataset.copy}`;
  button.classList.add("done");
  setTimeout(() => button.classList.remove("done"), 1200);
}

document.addEventListener("click", copy);
showCopyButtons();
setTimeout(refresh, REFRESH_SECONDS * 1000);
