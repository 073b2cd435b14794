// The last webhooks, and the way of each

const MOST_HOOKS = 200, FIRST_HOOKS = window.innerWidth < 800 ? 10 : 25;
const hooks = new Map();
let paused = false, drawn = true, showsAll = false;

const list = new Keyed(id("hooks"), makeHook, updateHook);

function makeHook(hook) {
  const summary = make("summary", "row");
  for (const name of ["time", "route", "bucket", "path code", "outcome", "latency"]) summary.append(make("span", name));
  summary.children[4].append(make("span", "pill"));
  const details = make("details", "", "", summary, make("div", "way"));
  details.addEventListener("toggle", () => { if (details.open) loadWay(details, hook.number); });
  return make("li", "hook", "", details);
}

function updateHook(node, hook) {
  const details = node.firstChild;
  const [time, route, bucket, path, outcome, latency] = details.firstChild.children;
  put(time, clock(hook.at));
  put(route, hook.routes.join(", ") || "no route");
  route.className = hook.routes.length ? "route" : "route soft";
  put(bucket, hook.bucket || "-");
  put(path, `${hook.method} ${hook.path}`);
  put(outcome.firstChild, hook.outcome);
  outcome.firstChild.className = `pill ${tint(hook.outcome)}`;
  const took = hook.latency === null ? "" : span(hook.latency);
  put(latency, [took, hook.retries ? retried(hook.retries) : ""].filter(Boolean).join(", "));
  if (details.open) loadWay(details, hook.number);
}

function showHooks() {
  drawn = true;
  if (paused) return;
  const wanted = id("filter").value.trim().toLowerCase();
  const fits = (hook) => [hook.bucket, hook.method, hook.path, hook.outcome, ...hook.routes].join(" ").toLowerCase().includes(wanted);
  const newest = [...hooks.values()].sort((a, b) => b.number - a.number);
  for (const old of newest.splice(MOST_HOOKS)) hooks.delete(old.number);
  const fitting = newest.filter(fits);
  // What somebody reads stays, however many come.
  const isOpen = (hook) => list.nodes.get(hook.number)?.firstChild.open;
  const shown = fitting.filter((hook, place) => showsAll || place < FIRST_HOOKS || isOpen(hook));
  list.show(shown.map((hook) => [hook.number, hook]));
  put(id("no-webhooks"), hooks.size ? "None of the last ones fits." : "None came yet.");
  id("no-webhooks").hidden = shown.length > 0;
  id("hooks-heads").hidden = shown.length === 0;
  id("all-hooks").hidden = fitting.length <= FIRST_HOOKS;
  put(id("all-hooks"), showsAll ? `Show the newest ${FIRST_HOOKS} only` : `Show all ${fitting.length}`);
}

function drawHooks() {
  if (drawn) { drawn = false; requestAnimationFrame(showHooks); }
}

async function loadWay(details, number) {
  const answer = await ask(`webhooks/${number}`);
  details.lastChild.replaceChildren(...(answer.error ? [make("p", "bad", answer.error)] : wayOf(answer)));
}

function wayOf(way) {
  const facts = [
    ["arrived", `${day(way.at)}${way.late ? ", found in the relay's log" : ""}`], way.id && ["ID", way.id],
    way.input && ["input", way.input], way.kept && ["body", `${size(way.bytes)} ${way.content_type}`],
  ];
  return [
    make("dl", "facts small", "", ...facts.filter(Boolean).map(([name, value]) => make("div", "", "", make("dt", "", name), make("dd", "", value)))),
    ...titled("Where it went", [...way.legs.map(legStep), ...way.rejected.map((said) => make("div", "step bad", "", make("p", "bad", said)))]),
    ...(way.kept ? titled("What each route says of it now", way.steps.map(routeStep)) : [make("p", "soft", "Its content is not kept any more.")]),
    ...("body" in way ? titled("Body", [make("pre", "", way.body)]) : []),
  ];
}

const titled = (title, nodes) => (nodes.length ? [make("h3", "soft small", title), ...nodes] : []);

function legStep(leg) {
  return make("div", `step ${tint(leg.outcome)}`, "",
    make("p", "", "", pill(leg.outcome), " ", make("strong", "", leg.route), make("span", "", `: ${leg.target} ← ${leg.where || "(not rendered)"}`)),
    make("p", "small", [leg.retries ? `after ${retried(leg.retries)}` : "", leg.reason].filter(Boolean).join(", ")));
}

function routeStep(step) {
  const isTaken = step.sends.length > 0;
  return make("div", isTaken ? `step ${tint(step.verdict)}` : "step soft", "",
    make("p", "", "", pill(step.verdict), " ", make("strong", "", step.route), make("span", "", step.why ? `: ${step.why}` : "")),
    ...step.sends.flatMap((sent) => [make("p", "code", sent.address), sent.payload ? make("pre", "", sent.payload) : ""]));
}

id("filter").addEventListener("input", drawHooks);
id("pause").addEventListener("click", () => {
  paused = !paused;
  id("pause").setAttribute("aria-pressed", String(paused));
  drawHooks();
});
id("all-hooks").addEventListener("click", () => {
  showsAll = !showsAll;
  id("all-hooks").setAttribute("aria-expanded", String(showsAll));
  drawHooks();
});
