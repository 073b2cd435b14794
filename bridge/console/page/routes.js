// Routes, each with its counts and a bar for every minute of the last hour

const MOST_ROUTES = 100, MINUTES = 60, STEP = 4, HEIGHT = 40;
let history = {};

const NO_COUNTS = { matched: 0, delivered: 0, dead: 0, failed: 0, rejected: 0, duplicates: 0 };
const NO_MINUTES = { matched: [], dead: [] };

const routes = new Keyed(id("routes"), makeRoute, updateRoute);

function makeRoute({ name }) {
  const chart = drawing("svg", { viewBox: `0 0 ${MINUTES * STEP} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" },
    drawing("path", { class: "base", d: `M0 ${HEIGHT - 0.5}H${MINUTES * STEP}` }),
    drawing("path", { class: "matched" }), drawing("path", { class: "dead" }));
  return make("li", "chart", "",
    make("div", "bar", "", make("h3", "", name), make("span", "soft small")), make("p", "small bad"), make("p", "small wait"),
    chart, make("div", "axis soft small", "", make("span", "", "an hour ago"), make("span"), make("span", "", "now")));
}

function updateRoute(node, { name, counts, minutes, silence }) {
  const [head, failures, silent, chart, axis] = node.children;
  put(head.lastChild, `${count(counts.matched, "webhook")}, ${counts.delivered.toLocaleString()} delivered`);
  put(failures, ["dead", "failed", "rejected", "duplicates"].filter((kind) => counts[kind])
    .map((kind) => `${counts[kind].toLocaleString()} ${kind === "duplicates" ? "duplicate" : kind}`).join(", "));
  put(silent, silence ? `silent for ${lasting(silence.since)}, a webhook is expected every ${span(silence.every)}` : "");
  const busiest = Math.max(0, ...minutes.matched), scale = (HEIGHT - 2) / Math.max(busiest, 1, ...minutes.dead);
  const bars = (values) => values.map((value, minute) =>
    (value ? `M${minute * STEP + STEP / 2} ${HEIGHT}V${HEIGHT - Math.max(3, value * scale)}` : "")).join("");
  chart.children[1].setAttribute("d", bars(minutes.matched));
  chart.children[2].setAttribute("d", bars(minutes.dead));
  put(axis.children[1], busiest ? `at most ${busiest.toLocaleString()} a minute` : "nothing came");
  const sum = minutes.matched.reduce((a, b) => a + b, 0);
  chart.setAttribute("aria-label", `${name}: ${count(sum, "webhook")} in the last hour, at most ${busiest} in a minute`);
}

function showRoutes() {
  const names = new Set([...status.routes_configured, ...Object.keys(status.routes)]);
  routes.show([...names].slice(0, MOST_ROUTES).map((name) => [name, {
    name, counts: status.routes[name] || NO_COUNTS, minutes: history[name] || NO_MINUTES, silence: status.silences[name],
  }]));
}
