// Talking to the relay. The token is in the memory of this page only, and goes with the page

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const path = (...words) => ["v1", ...words.map(encodeURIComponent)].join("/");

let credentials = "", serverTime = 0;

function basic(key, secret) {
  return `Basic ${btoa(String.fromCharCode(...new TextEncoder().encode(`${key}:${secret}`)))}`;
}

async function ask(address, method = "GET", fields = undefined, button = null) {
  if (button) button.disabled = true;
  try {
    const headers = { Authorization: credentials, "X-Relay-Bridge": "1", "Content-Type": "application/json" };
    // Without `omit`, a browser asks for a name and password itself when these are wrong.
    const response = await fetch(address, { method, headers, credentials: "omit", body: fields && JSON.stringify(fields) });
    serverTime = Date.parse(response.headers.get("Date")) / 1000 || Date.now() / 1000;
    if (response.status === 401 && !id("signed-in").hidden) location.reload();
    const isJson = (response.headers.get("Content-Type") || "").startsWith("application/json");
    return isJson ? await response.json() : { error: (await response.text()).trim() };
  } catch {
    return { error: "the relay does not answer", away: true };
  } finally {
    if (button) button.disabled = false;
  }
}

async function change(button, done, address, method, fields) {
  const answer = await ask(address, method, fields, button);
  say(answer.error ? `It could not be done: ${answer.error}` : done);
  await lookAround();
  return answer;
}

async function copy(text, node) {
  try {
    await navigator.clipboard.writeText(text);
    say("Copied.");
  } catch { // a browser gives the clipboard only to pages of this machine, or with TLS
    getSelection().selectAllChildren(node);
    say("It is selected, for you to copy.");
  }
}

function does(button, label, work) {
  button.type = "button";
  button.setAttribute("aria-label", label);
  button.addEventListener("click", () => work(button));
  return button;
}

function field(name, label, more = {}) {
  return make("label", "small", label, Object.assign(make("input"), { name, autocomplete: "off", ...more }));
}

function choice(name, label, ...options) {
  return make("label", "small", label, Object.assign(make("select", "", "", ...options), { name }));
}

const option = (value, text) => Object.assign(make("option", "", text), { value });

// A form that opens; `send` gets what is filled in, and its button

function adding(title, fields, send) {
  const button = make("button", "", "Add");
  const form = make("form", "bar", "", ...fields, button);
  const details = make("details", "add", "", make("summary", "", title), form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const said = Object.fromEntries([...new FormData(form)].filter(([, value]) => value));
    const answer = await send(said, button);
    if (!answer.error) { form.reset(); details.open = false; }
  });
  return details;
}
