// The last webhooks, as they come

const MOST_HOOKS = 200, PAGE = 100, LONGEST_SHOWN = 100000;
const LOOK = 400, AWAY = 30000; // milliseconds
// Within the first, a webhook's state mostly changes; after the second, hardly any more.
const SETTLING = 3, SETTLED = 600, DAY = 86400; // seconds
const SECRET = /^(proxy-)?authorization$|^cookie$|token|secret|api-?key/i; // names of headers

const tint = (state) => ({ sent: "good", failed: "bad" })[state] || "wait";

const hooks = new Map();
let cursor = null, paused = false, isDrawing = false, lookedAt = -Infinity, newest = 0;

const list = new Keyed(id("hooks"), makeHook, updateHook);

function makeHook(hook) {
  const summary = make("summary", "row");
  for (const name of ["time code", "bucket", "path code", "output soft", "outcome", "answer number soft"]) {
    summary.append(make("span", name));
  }
  summary.children[4].append(make("span", "pill"));
  const details = make("details", "", "", summary, make("div", "way"));
  details.addEventListener("toggle", () => { if (details.open) open(details, hook.id); });
  return make("li", "hook", "", details);
}

const asked = (hook) => `${hook.method} ${hook.extra_path}${hook.raw_query ? `?${hook.raw_query}` : ""}`;

function updateHook(node, hook) {
  const [time, bucket, what, output, outcome, answer] = node.firstChild.firstChild.children;
  put(time, clock(hook.at));
  put(bucket, hook.bucket_name);
  put(what, asked(hook));
  put(output, hook.output_name || hook.input_name);
  put(outcome.firstChild, hook.status);
  outcome.firstChild.className = `pill ${tint(hook.status)}`;
  put(answer, hook.status_code ? String(hook.status_code) : "");
}

async function open(details, hookId) {
  const hook = await ask(path("logs", hookId));
  if (hook.error) {
    details.lastChild.replaceChildren(make("p", "bad", hook.error));
    return;
  }
  keep(hook);
  draw();
  const again = does(make("button", "", "Send again"), `Send again ${asked(hook)}`, async (button) => {
    const answer = await ask(path("logs", hookId, "action"), "POST", { action: "resend" }, button);
    say(answer.error ? `It could not be done: ${answer.error}` : "It was sent again, as a new webhook.");
  });
  const headers = Object.entries(hook.headers).flatMap(([name, values]) =>
    values.map((value) => `${name}: ${SECRET.test(name) ? "(not shown)" : value}`));
  const rest = hook.body.length - LONGEST_SHOWN;
  details.lastChild.replaceChildren(
    make("p", "soft small", `ID ${hook.id}, input ${hook.input_name}, from ${hook.ip_address || "?"}, ${day(moment(hook))}`),
    hook.output_destination ? make("p", "small", `${hook.internal ? "for subscribers, to" : "sent to"} ${hook.output_destination}${hook.retries ? ` after ${count(hook.retries, "failure")}` : ""}`) : "",
    make("h3", "small", "Headers"), content("Headers", headers.join("\n")),
    make("h3", "small", "Body"), content("Body", hook.body.slice(0, LONGEST_SHOWN) || "(empty)"),
    rest > 0 ? make("p", "soft small", `${rest} more characters`) : "",
    again);
}

function content(label, text) { // it scrolls, so keys must get there
  const node = Object.assign(make("pre", "", text), { tabIndex: 0, role: "group" });
  node.setAttribute("aria-label", label);
  return node;
}

const moment = (hook) => Date.parse(hook.created_at) / 1000;

function keep(hook) {
  const { body: _body, headers: _headers, ...rest } = hook; // large ones would add up
  hooks.set(hook.id, { ...rest, at: moment(hook) });
}

function take(found) {
  cursor = found.next_cursor;
  for (const hook of found.data) keep(hook);
  if (found.data.length) draw();
}

function draw() {
  if (!isDrawing) { isDrawing = true; requestAnimationFrame(show); }
}

function show() {
  isDrawing = false;
  const latest = [...hooks.values()].sort((a, b) => b.at - a.at);
  for (const old of latest.splice(MOST_HOOKS)) hooks.delete(old.id);
  if (paused) return;
  const wanted = id("filter").value.trim().toLowerCase();
  const fits = (hook) => [hook.bucket_name, asked(hook), hook.input_name, hook.output_name, hook.status].join(" ").toLowerCase().includes(wanted);
  const shown = latest.filter(fits);
  list.show(shown.map((hook) => [hook.id, hook]));
  put(id("no-webhooks"), hooks.size ? "None of the last ones fits." : "None came in the last day.");
  id("no-webhooks").hidden = shown.length > 0;
}

// The log goes from old to new: the newest page is in the longest period that has no more than a page

async function begin() {
  const now = serverTime;
  newest = now - SETTLING;
  for (let period = DAY, low = 1, high = DAY; ; period = Math.sqrt(low * high)) {
    const found = await ask(`v1/logs?limit=${PAGE}&from=${now - period}`);
    if (found.error) return found;
    if (found.has_more) high = period; else low = period;
    const isGood = !found.has_more && (period === DAY || found.data.length > PAGE / 2);
    if (isGood || high / low < 1.2) { take(found); return found; }
  }
}

async function look(period) {
  const at = [...hooks.values()].map((hook) => hook.at).sort((a, b) => b - a);
  newest = Math.max(newest, at[0] || 0);
  const since = Math.max(newest - period, at[PAGE - 1] || 0);
  const found = await ask(`v1/logs?limit=${PAGE}&${cursor ? `cursor=${cursor}` : `from=${since}`}`);
  if (!found.error) take(found);
  return found;
}

async function follow() {
  for (let turn = 0; ; turn += 1) {
    if (!document.hidden) {
      const began = performance.now();
      const found = began - lookedAt > AWAY ? await begin() : await look(turn % 12 ? SETTLING : SETTLED);
      if (!found.error) lookedAt = began;
      live(found.error || "live", found.error ? "bad" : "good");
    }
    await pause(cursor && !document.hidden ? 0 : LOOK);
  }
}
