// The phone on the right: polls for new SMS every second and highlights their codes.

const inbox = document.getElementById("inbox");
const POLL_MILLISECONDS = 1000;

function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Show the code in a bubble in bold, and add a button that copies it. */
function highlightCode(bubble) {
  const { code } = bubble.dataset;
  const [before, after] = code ? bubble.textContent.split(code, 2) : [bubble.textContent];
  if (after === undefined) return;
  bubble.replaceChildren(before, h("strong", {}, code), after);
  if (!navigator.clipboard) return;
  const button = h("button", { class: "copy", type: "button" }, `Copy ${code}`);
  button.addEventListener("click", () => navigator.clipboard.writeText(code));
  bubble.after(button);
}

/** Show the time in the local time zone. */
function showLocalTime(time) {
  time.textContent = new Date(time.dateTime).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

function add({ id, phone, text, code, at }) {
  const bubble = h("p", { class: "bubble", lang: "zh-CN", "data-code": code }, text);
  const time = h("time", { datetime: at });
  showLocalTime(time);
  const item = h("div", { class: "fresh", "data-id": id }, h("p", { class: "to" }, `${phone} · `, time), bubble);
  inbox.append(item);
  highlightCode(bubble);
  inbox.scrollTop = inbox.scrollHeight;
}

async function poll() {
  try {
    const response = await fetch("/demo/inbox.json");
    const shown = new Set(Array.from(inbox.children, (item) => item.dataset.id));
    for (const sms of (await response.json()).reverse()) if (!shown.has(sms.id)) add(sms);
    document.getElementById("empty").hidden = inbox.children.length > 0;
  } catch {
    // The server is not reachable at the moment. Try again later.
  }
  setTimeout(poll, POLL_MILLISECONDS);
}

inbox.querySelectorAll(".bubble").forEach(highlightCode);
inbox.querySelectorAll("time").forEach(showLocalTime);
inbox.scrollTop = inbox.scrollHeight;
poll();
