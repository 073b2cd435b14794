const MOST_HOOKS = 200, MOST_LETTERS = 100;
const GOOD = new Set(["up", "subscribed", "delivered", "applied", "unchanged", "duplicate"]);
const BAD = new Set(["down", "refused", "unauthorized", "dead", "rejected", "evicted", "expired", "held", "failed"]);

const tint = (state) => (GOOD.has(state) ? "good" : BAD.has(state) ? "bad" : "wait");

// Words for figures

function span(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

const retried = (number) => (number === 1 ? "1 retry" : `${number} retries`);
const ago = (at) => `for ${span(Math.max(1, Date.now() / 1000 - at))}`;

// State

let status = null, deadKey = "";

const tiles = new Keyed(id("tiles"),
  () => make("li", "tile", "", make("h3"), make("p", "state"), make("div", "small")),
  (node, tile) => {
    node.className = `tile ${tile.tint}`;
    const [title, state, lines] = node.children;
    put(title, tile.title);
    put(state, tile.state);
    lines.replaceChildren(...tile.lines.filter(Boolean).map((line) => make("p", "", line)));
  });

function targetTile(name, target) {
  const { state, since, pending, oldest, reason } = target;
  return {
    title: name, tint: state === "not configured" ? "wait" : tint(state),
    state: since ? `${state} ${ago(since)}` : state,
    lines: [
      reason,
      pending ? `${pending} waiting${oldest === null ? "" : `, the oldest since ${span(oldest)}`}` : "nothing waits",
      `${target.delivered} delivered, ${target.dead} dead`,
      target.expired + target.evicted ? `${target.expired} expired, ${target.evicted} evicted` : "",
    ],
  };
}

function showStatus() {
  const { relay, gaps, targets, journal, counters, configuration } = status;
  put(id("node"), `on ${status.node}`);
  put(id("version"), `${status.version}, up ${ago(status.started_at)}`);
  const all = [["relay", {
    title: "Relay", tint: tint(relay.state), state: relay.since ? `${relay.state} ${ago(relay.since)}` : relay.state,
    lines: [
      relay.reason, count(counters.webhooks, "webhook"),
      gaps.name === "off" ? "" : `gap filling: ${gaps.name}${gaps.reason ? ` (${gaps.reason})` : ""}`,
      `${counters.unmatched} unmatched, ${counters.rejected} rejected, ${counters.duplicates} duplicate`,
    ],
  }]];
  for (const [name, target] of Object.entries(targets)) all.push([`target ${name}`, targetTile(name, target)]);
  all.push(["journal", {
    title: "Journal", tint: journal.full ? "bad" : "good", state: journal.full ? "full" : "has room",
    lines: [journal.full, `${size(journal.bytes)} of ${size(journal.max_bytes)}`, count(journal.dead, "dead letter")],
  }]);
  all.push(["clock", {
    title: "Clock", tint: status.clock_synchronised ? "good" : "wait",
    state: status.clock_synchronised ? "synchronised" : "not synchronised",
    lines: [status.clock_synchronised ? "" : "the age of signed webhooks is not judged until then"],
  }]);
  tiles.show(all);
  showFile(configuration);
  showRoutes();
  const dead = Object.values(targets).reduce((sum, target) => sum + target.dead, 0);
  if (deadKey !== `${journal.dead} ${dead}`) { deadKey = `${journal.dead} ${dead}`; loadLetters(); }
}

const problems = new Keyed(id("problems"), () => make("li"), (node, problem) => {
  node.replaceChildren(
    make("p", problem.severity === "error" ? "bad" : "wait",
      `${problem.severity} ${problem.code}: line ${problem.line}, column ${problem.column}`),
    make("p", "", problem.message),
    make("p", "soft", problem.help || ""),
    make("p", "soft code", problem.file),
  );
});

function showFile({ outcome, generation, at, problems: found }) {
  const refused = outcome === "rejected";
  id("file").replaceChildren(
    make("p", `state ${refused ? "bad" : "good"}`, `Generation ${generation} is in use; last reload: ${outcome}`),
    make("p", "soft small", `${day(at)}${refused ? ". Until its mistakes are mended, the file before stays in use." : ""}`),
  );
  problems.show(found.map((problem) => [JSON.stringify(problem), problem]));
}

// Webhooks

const hooks = new Map();
let paused = false, drawing = false;

const list = new Keyed(id("hooks"), makeHook, updateHook);

function makeHook(hook) {
  const summary = make("summary");
  for (const name of ["time code", "bucket", "path code", "route", "outcome state", "latency number", "retries number soft"]) {
    summary.append(make("span", name));
  }
  const details = make("details", "", "", summary, make("div"));
  details.addEventListener("toggle", () => { if (details.open) loadWay(details, hook.number); });
  return make("li", "hook", "", details);
}

function updateHook(node, hook) {
  const details = node.firstChild;
  const [time, bucket, path, route, outcome, latency, retries] = details.firstChild.children;
  put(time, clock(hook.at));
  put(bucket, hook.bucket || "-");
  put(path, `${hook.method} ${hook.path}`);
  put(route, hook.routes.join(", ") || "no route");
  put(outcome, hook.outcome);
  outcome.className = `outcome state ${hook.routes.length ? tint(hook.outcome) : "soft"}`;
  put(latency, hook.latency === null ? "" : span(hook.latency));
  put(retries, hook.retries ? retried(hook.retries) : "");
  if (details.open) loadWay(details, hook.number);
}

function showHooks() {
  drawing = false;
  if (paused) return;
  const wanted = id("filter").value.trim().toLowerCase();
  const fits = (hook) => [hook.bucket, hook.method, hook.path, hook.outcome, ...hook.routes].join(" ").toLowerCase().includes(wanted);
  const newest = [...hooks.values()].sort((a, b) => b.number - a.number);
  for (const old of newest.splice(MOST_HOOKS)) hooks.delete(old.number);
  const shown = newest.filter(fits);
  list.show(shown.map((hook) => [hook.number, hook]));
  put(id("no-webhooks"), hooks.size ? "None of the last ones fits." : "None came yet.");
  id("no-webhooks").hidden = shown.length > 0;
}

function drawHooks() {
  if (!drawing) { drawing = true; requestAnimationFrame(showHooks); }
}

async function loadWay(details, number) {
  const answer = await ask(`webhooks/${number}`);
  details.lastChild.replaceChildren(...(answer.error ? [make("p", "bad", answer.error)] : wayOf(answer)));
}

function wayOf(way) {
  const nodes = [make("p", "soft small",
    `${way.id ? `ID ${way.id}, ` : ""}input ${way.input || "-"}${way.late ? ", found in the relay's log" : ""}` +
    `${way.kept ? `, ${size(way.bytes)} ${way.content_type}` : ""}`)];
  for (const leg of way.legs) {
    nodes.push(make("div", "step", "",
      make("p", "", `${leg.route}: ${leg.target} ← ${leg.where || "(not rendered)"}`),
      make("p", `state ${tint(leg.outcome)}`, `${leg.outcome}${leg.retries ? ` after ${retried(leg.retries)}` : ""}`),
      make("p", "", leg.reason)));
  }
  for (const refused of way.rejected) nodes.push(make("p", "bad", refused));
  if (!way.kept) return [...nodes, make("p", "soft", "Its content is not kept any more.")];
  nodes.push(make("h3", "small", "What the routes say of it now"));
  for (const step of way.steps) {
    nodes.push(make("div", "step", "",
      make("p", "", `${step.route}: ${step.verdict}${step.why ? `: ${step.why}` : ""}`),
      ...step.sends.flatMap((sent) => [make("p", "code", sent.address), sent.payload ? make("pre", "", sent.payload) : ""])));
  }
  if ("body" in way) nodes.push(make("h3", "small", "Body"), make("pre", "", way.body));
  return nodes;
}

// Dead letters

let loading = null;

function loadLetters(delay = letters.nodes.size ? 2000 : 0) {
  if (loading !== null && delay) return; // one is on its way, however many letters come
  clearTimeout(loading);
  loading = setTimeout(async () => {
    loading = null;
    const answer = await ask("dead");
    if (answer.letters) showLetters(answer.letters);
  }, delay);
}

const letters = new Keyed(id("letters"), makeLetter, () => {});

function makeLetter(letter) {
  const retry = make("button", "", "Retry"), discard = make("button", "", "Discard");
  retry.setAttribute("aria-label", `Retry dead letter ${letter.id}`);
  discard.setAttribute("aria-label", `Discard dead letter ${letter.id}`);
  retry.addEventListener("click", () => retryLetters([letter.id], retry));
  discard.addEventListener("click", async () => {
    if (!window.confirm(`Discard dead letter ${letter.id} for good?`)) return;
    const answer = await ask("dead/purge", { ids: [letter.id] }, discard);
    finish(answer, `Dead letter ${letter.id} is gone.`);
  });
  return make("li", "letter", "",
    make("div", "", "",
      make("p", "", `${letter.route}: ${letter.target} ← ${letter.place || "(not rendered)"}`),
      make("p", "bad", `${letter.code}: ${letter.reason}`),
      make("p", "soft small", `number ${letter.id}, ${day(letter.at)}, ${retried(letter.attempts)}`)),
    make("div", "bar", "", retry, discard));
}

function showLetters(found) {
  const shown = found.slice(0, MOST_LETTERS), total = Math.max(status.journal.dead, found.length);
  letters.show(shown.map((letter) => [letter.id, letter]));
  id("retry-all").hidden = shown.length < 2;
  put(id("dead-note"), total === 0 ? "None." : shown.length < total ? `The oldest ${shown.length} of ${total} are shown.` : `${total} kept.`);
}

async function retryLetters(ids, button) {
  const answer = await ask("dead/retry", { ids }, button);
  const kept = answer.kept || [];
  const what = ids.length === 1 ? `Dead letter ${ids[0]}` : `${ids.length - kept.length} of ${ids.length} dead letters`;
  const went = ids.length > 1 || !kept.length ? `${what} sent again. ` : "";
  finish(answer, went + kept.slice(0, 5).map((one) => `Dead letter ${one.id} stays: ${one.reason}.`).join(" "));
}

function finish(answer, text) {
  say(answer.error ? `It could not be done: ${answer.error}` : text);
  id("dead-title").focus();
  loadLetters(0);
}

// Routes

let history = {};
const SVG = "http://www.w3.org/2000/svg";

const routes = new Keyed(id("routes"), (route) => {
  const chart = document.createElementNS(SVG, "svg");
  chart.setAttribute("viewBox", "0 0 240 48");
  chart.setAttribute("preserveAspectRatio", "none");
  chart.setAttribute("role", "img");
  for (const name of ["base", "matched", "dead"]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", name);
    path.setAttribute("stroke-width", name === "base" ? "1" : "3");
    chart.append(path);
  }
  chart.firstChild.setAttribute("d", "M0 47.5H240");
  return make("li", "chart", "", make("div", "", "", make("h3", "small", route.name), make("p", "small"), make("p", "small bad")), chart);
}, (node, { name, counts, minutes, silence }) => {
  const failed = [
    counts.dead && `${counts.dead} dead`, counts.failed && `${counts.failed} failed`,
    counts.rejected && `${counts.rejected} rejected`, counts.duplicates && `${counts.duplicates} duplicate`,
  ].filter(Boolean);
  put(node.firstChild.lastChild, silence ? `silent ${ago(silence.since)}, a webhook is expected every ${span(silence.every)}` : "");
  put(node.firstChild.children[1], [`${count(counts.matched, "webhook")}, ${counts.delivered} delivered`, ...failed].join(", "));
  const chart = node.lastChild, most = Math.max(1, ...minutes.matched, ...minutes.dead);
  const bars = (values) => values.map((value, at) => (value ? `M${at * 4 + 2} 48V${48 - Math.max(2, (46 * value) / most)}` : "")).join("");
  chart.children[1].setAttribute("d", bars(minutes.matched));
  chart.children[2].setAttribute("d", bars(minutes.dead));
  const sum = minutes.matched.reduce((a, b) => a + b, 0);
  chart.setAttribute("aria-label", `${name}: ${count(sum, "webhook")} in the last hour, at most ${Math.max(0, ...minutes.matched)} in a minute`);
});

const NO_COUNTS = { matched: 0, delivered: 0, dead: 0, failed: 0, rejected: 0, duplicates: 0 };
const NO_MINUTES = { matched: [], dead: [] };

function showRoutes() {
  const names = new Set([...status.routes_configured, ...Object.keys(status.routes)]);
  routes.show([...names].slice(0, 100).map((name) => [name, {
    name, counts: status.routes[name] || NO_COUNTS, minutes: history[name] || NO_MINUTES, silence: status.silences[name],
  }]));
}

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

function take(event) {
  const said = JSON.parse(event.data);
  if (said.history) history = said.history;
  if (said.status) status = said.status;
  if (said.status || said.history) showStatus();
  for (const hook of said.webhooks || []) hooks.set(hook.number, hook);
  if (said.webhooks) drawHooks();
}

function listen() {
  const source = new EventSource("events");
  source.onopen = () => live("live", "good");
  source.addEventListener("all", (event) => { hooks.clear(); drawHooks(); take(event); });
  source.onmessage = take;
  source.onerror = async () => {
    live("no connection to the bridge", "bad");
    if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
    source.close();
    await ask("readyz"); // shows the login form where that is what is missing
    setTimeout(listen, 3000);
  };
}

id("filter").addEventListener("input", drawHooks);
id("pause").addEventListener("click", () => {
  paused = !paused;
  id("pause").setAttribute("aria-pressed", String(paused));
  drawHooks();
});
id("retry-all").addEventListener("click", (event) => retryLetters([...letters.nodes.keys()], event.currentTarget));
id("reload").addEventListener("click", async (event) => {
  const answer = await ask("reload", {}, event.currentTarget);
  say(answer.error ? `It could not be done: ${answer.error}` : `The routing file was read: ${answer.outcome}.`);
});
setInterval(() => { if (status && !document.hidden) showStatus(); }, 10000);
listen();
