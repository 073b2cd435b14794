// What all parts of the page use

const GOOD = new Set(["up", "subscribed", "delivered", "applied", "unchanged", "duplicate", "matched"]);
const BAD = new Set(["down", "refused", "unauthorized", "dead", "rejected", "evicted", "expired", "held", "failed", "error"]);
const QUIET = new Set(["unmatched", "mismatch", "not configured"]);

const tint = (state) => (GOOD.has(state) ? "good" : BAD.has(state) ? "bad" : QUIET.has(state) ? "quiet" : "wait");

function drawing(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const pill = (state, text = state) => make("span", `pill ${tint(state)}`, text);

// Words for figures

function span(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

const retried = (number) => (number === 1 ? "1 retry" : `${number} retries`);
const lasting = (since) => span(Math.max(1, Date.now() / 1000 - since));

// Talking to the daemon

async function ask(address, fields, button) {
  if (button) button.disabled = true;
  try {
    const options = fields && { method: "POST", headers: { "X-Relay-Bridge": "1", "Content-Type": "application/json" }, body: JSON.stringify(fields) };
    const response = await fetch(address, options);
    if (response.status === 401) location.reload();
    const isJson = (response.headers.get("Content-Type") || "").startsWith("application/json");
    return isJson ? await response.json() : { error: (await response.text()).trim() };
  } catch {
    return { error: "the bridge does not answer" };
  } finally {
    if (button) button.disabled = false;
  }
}
