// The phone on the right: looks every second whether an SMS came, and sets off the code in it.

const inbox = document.getElementById("inbox");
const SECOND = 1000;

function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Show the code of a bubble in bold, and a button that copies it. */
function setOff(bubble) {
  const { code } = bubble.dataset;
  const [before, after] = code ? bubble.textContent.split(code, 2) : [bubble.textContent];
  if (after === undefined) return;
  bubble.replaceChildren(before, h("strong", {}, code), after);
  if (!navigator.clipboard) return;
  const button = h("button", { class: "copy", type: "button" }, `Copy ${code}`);
  button.addEventListener("click", () => navigator.clipboard.writeText(code));
  bubble.after(button);
}

/** Show when it came by the clock on the wall. */
function tellTime(time) {
  time.textContent = new Date(time.dateTime).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

function add({ id, phone, text, code, at }) {
  const bubble = h("p", { class: "bubble", lang: "zh-CN", "data-code": code }, text);
  const time = h("time", { datetime: at });
  tellTime(time);
  const item = h("div", { class: "fresh", "data-id": id }, h("p", { class: "to" }, `${phone} · `, time), bubble);
  inbox.append(item);
  setOff(bubble);
  inbox.scrollTop = inbox.scrollHeight;
}

async function look() {
  try {
    const answer = await fetch("/demo/inbox.json");
    const known = new Set(Array.from(inbox.children, (item) => item.dataset.id));
    for (const sms of (await answer.json()).reverse()) if (!known.has(sms.id)) add(sms);
    document.getElementById("nothing").hidden = inbox.children.length > 0;
  } catch {
    // It was stopped: it may come back.
  }
  setTimeout(look, SECOND);
}

inbox.querySelectorAll(".bubble").forEach(setOff);
inbox.querySelectorAll("time").forEach(tellTime);
inbox.scrollTop = inbox.scrollHeight;
look();
