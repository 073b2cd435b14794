// Relay, targets, journal and clock; what needs somebody; the routing file

let status = null, lostAt = null;

const tiles = new Keyed(id("tiles"),
  () => make("li", "tile card", "", make("div", "bar", "", make("h3"), make("span")), make("p", "reason"), make("dl")),
  (node, tile) => {
    node.className = `tile card ${tile.tint}`;
    const [title, state] = node.firstChild.children, [, reason, facts] = node.children;
    put(title, tile.title);
    put(state, tile.state);
    state.className = `pill ${tile.tint}`;
    put(reason, tile.reason || "");
    facts.replaceChildren(...tile.facts.filter(Boolean).map(([name, value, className]) =>
      make("div", className, "", make("dt", "", name), make("dd", "", String(value)))));
  });

function relayTile({ relay, gaps, counters }) {
  const subscribed = relay.state === "subscribed";
  return {
    title: "Relay", tint: tint(relay.state), state: relay.state, reason: subscribed ? "" : relay.reason,
    facts: [
      relay.since && ["since", clock(relay.since)],
      subscribed && relay.reason && ["buckets", relay.reason],
      ["webhooks", counters.webhooks.toLocaleString()],
      counters.unmatched && ["unmatched", counters.unmatched.toLocaleString()],
      counters.rejected && ["rejected", counters.rejected.toLocaleString(), "bad"],
      counters.duplicates && ["duplicate", counters.duplicates.toLocaleString()],
      gaps.name !== "off" && ["gap filling", gaps.reason ? `${gaps.name}: ${gaps.reason}` : gaps.name],
    ],
  };
}

function targetTile(name, target) {
  const { state, since, pending, oldest, reason } = target;
  const isUp = state === "up";
  return {
    title: name, tint: tint(state), state, reason: isUp ? "" : reason,
    facts: [
      since && ["since", clock(since)],
      ["waiting", pending ? waiting(target) : "nothing", oldest > 60 ? "wait" : ""],
      ["delivered", target.delivered.toLocaleString()],
      target.retries && ["retries", target.retries.toLocaleString()],
      target.dead && ["dead", target.dead.toLocaleString(), "bad"],
      target.expired && ["expired", target.expired.toLocaleString(), "bad"],
      target.evicted && ["evicted", target.evicted.toLocaleString(), "bad"],
      isUp && reason && ["last trouble", reason],
    ],
  };
}

function waiting({ pending, oldest }) {
  return `${pending.toLocaleString()}${oldest === null ? "" : `, the oldest for ${span(oldest)}`}`;
}

function journalTile({ journal }) {
  return {
    title: "Journal", tint: journal.full ? "bad" : "good", state: journal.full ? "full" : "has room", reason: journal.full,
    facts: [
      ["holds", `${size(journal.bytes)} of ${size(journal.max_bytes)}`],
      ["dead letters", journal.dead.toLocaleString(), journal.dead ? "wait" : ""],
    ],
  };
}

function clockTile({ clock_synchronised: known }) {
  return {
    title: "Clock", tint: known ? "good" : "wait", state: known ? "synchronised" : "not synchronised",
    reason: known ? "" : "The age of signed webhooks is not judged until it is.", facts: [],
  };
}

// What needs somebody, with the way to it

function* troubles() {
  if (lostAt === null) yield* told(status);
  else yield ["bad", "#state", `What is below was so at ${clock(lostAt)}`];
}

function* told({ relay, targets, configuration, journal, silences, clock_synchronised: known }) {
  const because = (reason) => (reason ? `: ${reason}` : "");
  if (relay.state !== "subscribed") {
    yield [tint(relay.state), "#state", `The relay is ${relay.state}${relay.since ? ` for ${lasting(relay.since)}` : ""}${because(relay.reason)}`];
  }
  for (const [name, target] of Object.entries(targets)) {
    if (target.state === "up" || target.state === "not configured") continue;
    const owed = target.pending === 1 ? ", 1 delivery waits" : target.pending ? `, ${target.pending.toLocaleString()} deliveries wait` : "";
    yield [tint(target.state), "#state", `${name} is ${target.state}${target.since ? ` for ${lasting(target.since)}` : ""}${owed}${because(target.reason)}`];
  }
  if (journal.full) yield ["bad", "#state", `The journal is full: ${journal.full}`];
  if (configuration.outcome === "rejected") {
    const errors = configuration.problems.filter(({ severity }) => severity === "error").length;
    yield ["bad", "#routing", `The routing file was rejected, ${count(errors, "mistake")}: generation ${configuration.generation} stays in use`];
  }
  for (const [name, { since, every }] of Object.entries(silences)) {
    yield ["wait", "#routes-section", `The route ${name} is silent for ${lasting(since)}, a webhook is expected every ${span(every)}`];
  }
  if (journal.dead) yield ["wait", "#dead", `${count(journal.dead, "dead letter")} to be retried or discarded`];
  if (!known) yield ["wait", "#state", "The clock is not synchronised"];
}

const VERDICTS = { good: "Everything works", wait: "It works; this wants a look", bad: "Something does not work", lost: "No connection to the bridge" };
const ICONS = { good: ["#1a7f42", "m9 16.5 5 5 9-11"], wait: ["#b97900", "M16 8v10M16 22v2"], bad: ["#c4291f", "m10 10 12 12M22 10 10 22"] };

const troubleList = new Keyed(id("troubles"), () => make("li", "", "", make("a")), (node, [className, address, text]) => {
  node.className = className;
  node.firstChild.href = address;
  put(node.firstChild, text);
});

function showVerdict() {
  const found = [...troubles()];
  const worst = found.some(([className]) => className === "bad") ? "bad" : found.length ? "wait" : "good";
  put(id("verdict-title"), VERDICTS[lostAt === null ? worst : "lost"]);
  id("verdict").className = `card ${worst}`;
  troubleList.show(found.map((trouble, number) => [number, trouble]));
  document.title = worst === "good" ? "Relay Bridge" : `(${found.length}) Relay Bridge`;
  const [colour, path] = ICONS[worst];
  const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="16" cy="16" r="15" fill="${colour}"/><path d="${path}" fill="none" stroke="#fff" stroke-width="4"/></svg>`;
  const address = `data:image/svg+xml,${encodeURIComponent(icon)}`;
  if (id("icon").href !== address) id("icon").href = address;
}

function showStatus() {
  put(id("node"), status.node);
  put(id("version"), `Relay Bridge ${status.version}, up for ${lasting(status.started_at)}`);
  tiles.show([
    ["relay", relayTile(status)],
    ...Object.entries(status.targets).map(([name, target]) => [`target ${name}`, targetTile(name, target)]),
    ["journal", journalTile(status)],
    ["clock", clockTile(status)],
  ]);
  showVerdict();
  showFile(status.configuration);
  showRoutes();
  watchLetters();
}

// The routing file

const problems = new Keyed(id("problems"), () => make("li"), (node, problem) => {
  node.replaceChildren(
    make("p", "", "", pill(problem.severity === "error" ? "error" : "warning", problem.severity), " ",
      make("strong", "", `line ${problem.line}, column ${problem.column}`), " ", make("span", "soft small", problem.code)),
    make("p", "", problem.message),
    make("p", "help", problem.help || ""),
    make("p", "soft code", problem.file),
  );
});

function showFile({ outcome, generation, at, problems: found }) {
  const refused = outcome === "rejected";
  id("file").replaceChildren(
    make("p", "", "", pill(outcome), " ", make("strong", "", `Generation ${generation} is in use`)),
    make("p", "soft small", `Read at ${clock(at)}.${refused ? " Until its mistakes are mended, the file before stays in use." : ""}`),
  );
  problems.show(found.map((problem) => [JSON.stringify(problem), problem]));
}
