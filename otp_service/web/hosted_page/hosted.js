// The script of a hosted page. Without it, every step except the risk challenge can be done by hand.

const SLICE = 500;

// False after a reload and after moving through the history: browsers then restore what was typed before.
const isNewPage = performance.getEntriesByType("navigation")[0]?.type === "navigate";

// ── each form is sent once ──

for (const form of document.querySelectorAll("form[data-once]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
}
// A page restored from the back/forward cache shows forms that were already sent, so load its current step.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

// ── a complete code is sent at once ──

const code = document.querySelector("form[data-code] input[name=code]");
const SYMBOL = { digits: "\\p{Nd}", alnum6: "[\\p{Nd}A-Za-z]" };
// The service normalizes the code; here it only matters whether the code is complete.
const sendCompleteCode = (event) => {
  if (event.isComposing) return;
  const { codeType, length } = code.dataset;
  const complete = new RegExp(`^${SYMBOL[codeType]}{${length}}$`, "u");
  const symbols = code.value.normalize("NFKC").replace(/[\s\p{Cf}\p{P}\p{Z}\p{M}\u2212]/gu, "");
  if (complete.test(symbols)) code.form.requestSubmit(code.form.querySelector("button"));
};
code?.addEventListener("input", sendCompleteCode);
code?.addEventListener("compositionend", sendCompleteCode);
if (code?.value && isNewPage) sendCompleteCode({}); // it was typed before this script was loaded

// ── the resend button is enabled after the cooldown ──

const waiting = document.querySelector("form[data-wait]");
const waitText = document.getElementById("wait");
if (waiting && waitText) {
  const button = waiting.querySelector("button");
  const ends = performance.now() + Number(waiting.dataset.wait) * 1000;
  const number = /\d+/.exec(waitText.textContent)?.[0];
  const step = () => {
    const left = Math.ceil((ends - performance.now()) / 1000);
    button.disabled = left > 0;
    waitText.hidden = left <= 0;
    if (left <= 0) return;
    if (left < 120 && Number(number) < 120) waitText.textContent = waitText.textContent.replace(/\d+/, left);
    setTimeout(step, 1000);
  };
  step();
}

// ── the risk challenge: find the number with the given digest ──

const solve = document.getElementById("solve");
if (solve) {
  find(JSON.parse(solve.dataset.riddle)).then((solution) => {
    solve.elements.risk_solution.value = solution;
    solve.submit();
  }, () => {
    solve.querySelector("progress").hidden = true;
    document.getElementById("failed").hidden = false;
  });
}

async function find(challenge) {
  const utf8 = new TextEncoder();
  const isRight = async (number) => {
    const digest = await crypto.subtle.digest(challenge.algorithm, utf8.encode(challenge.salt + number));
    return hex(digest) === challenge.challenge;
  };
  for (let from = 0; from <= challenge.maxnumber; from += SLICE) {
    const numbers = Array.from({ length: SLICE }, (_, i) => from + i);
    const found = (await Promise.all(numbers.map(isRight))).indexOf(true);
    if (found >= 0) return btoa(JSON.stringify({ ...challenge, number: from + found }));
  }
  throw new Error("no number has this digest");
}

function hex(buffer) {
  return Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// ── the proof is sent at once, but not again if the visitor navigates back to this page ──

if (isNewPage) document.getElementById("return")?.submit();
