const LOOK_AROUND = 5000; // milliseconds
const ADDRESS = document.querySelector("meta[name=relay]").content;

// Buckets

let mayChange = false;
const isDeclared = (one) => !one.created_at; // what the relay's file declares has no date

function urlsOf(input) {
  const { protocol, port } = new URL(ADDRESS);
  const origin = input.custom_domain ? `${protocol}//${input.custom_domain}${port ? `:${port}` : ""}` : ADDRESS;
  const own = input.custom_domain || input.path_prefix ? [origin + input.path_prefix] : [];
  return [...own, `${ADDRESS}/v1/webhooks/${encodeURIComponent(input.id)}`];
}

function remover(label, address, title) {
  return does(make("button", "", "Delete"), `Delete ${label}`, async (button) => {
    if (!window.confirm(`Delete ${label} for good?`)) return;
    const answer = await change(button, `Deleted: ${label}.`, address, "DELETE");
    if (!answer.error) id(title).focus();
  });
}

function inputRow(bucket, input) {
  const addresses = urlsOf(input).map((url) => {
    const text = make("code", "", url);
    const button = does(make("button", "", "Copy"), `Copy the address of ${input.name}: ${url}`, () => copy(url, text));
    return make("p", "bar", "", text, button);
  });
  const notes = [input.rate_limit && `at most ${input.rate_limit}`, input.response_from_output && "answers with an output's answer", `status ${input.status_code}`];
  return make("li", "", "", make("div", "", "",
    make("p", "", input.name, make("span", "soft small", ` ${notes.filter(Boolean).join(", ")}`)), ...addresses));
}

function outputRow(bucket, output) {
  const kind = output.internal ? "for subscribers" : "called by the relay";
  const notes = [kind, output.rules && "with rules", output.disabled && "switched off"].filter(Boolean).join(", ");
  return make("li", "", "", make("div", "", "",
    make("p", "", output.name, make("span", "soft small", ` ${notes}`)), make("p", "code", output.destination)));
}

function outputSwitch(bucket, output) {
  const word = output.disabled ? "Switch on" : "Switch off";
  return does(make("button", "", word), `${word} the output ${output.name} of ${bucket.name}`, (button) =>
    change(button, "Done.", path("buckets", bucket.id, "outputs", output.id), "PUT", { disabled: !output.disabled }));
}

// A row is made anew when what it shows changed: a key holds all of it

const keyed = (one) => [JSON.stringify({ ...one, updated_at: 0 }), one];

function makeBucket(bucket) {
  const isOurs = mayChange && !isDeclared(bucket);
  const parts = (kind) => path("buckets", bucket.id, kind);
  const remove = (kind, one) => remover(`the ${kind} ${one.name} of ${bucket.name}`, path("buckets", bucket.id, `${kind}s`, one.id), "buckets-title");
  const inputs = make("ul", "list"), outputs = make("ul", "list"), name = make("h3");
  const bar = make("div", "bar", "", name);
  const node = make("li", "card box", "", bar, make("p", "soft small"), make("h4", "", "Inputs"), inputs);
  const addInput = adding("Add an input", [
    field("name", "Name", { required: true, maxLength: 100 }), field("path_prefix", "Own path, if any", { placeholder: "/github" }),
    field("rate_limit", "At most, if limited", { placeholder: "10/s" }),
  ], (said, button) => change(button, `Added: ${said.name}.`, parts("inputs"), "POST", said));
  const addOutput = adding("Add an output", [
    field("name", "Name", { required: true, maxLength: 100 }), field("destination", "Destination", { required: true, type: "url", placeholder: "http://localhost:1880/hook" }),
    choice("who", "Who calls it", option("subscribers", "subscribers"), option("relay", "the relay")),
  ], ({ who, ...said }, button) => change(button, `Added: ${said.name}.`, parts("outputs"), "POST", { ...said, internal: who !== "relay" }));
  if (isOurs) {
    bar.append(remover(`the bucket ${bucket.name}`, path("buckets", bucket.id), "buckets-title"));
    node.append(addInput);
  }
  node.append(make("h4", "", "Outputs"), make("p", "soft small", "None: each subscriber gets each webhook once."), outputs);
  if (isOurs) node.append(addOutput);
  const row = (make_, kind, more) => (one) => {
    const made = make_(bucket, one);
    if (isOurs) made.append(...more(bucket, one), remove(kind, one));
    return made;
  };
  node.lists = [
    new Keyed(inputs, row(inputRow, "input", () => []), () => {}),
    new Keyed(outputs, row(outputRow, "output", (...both) => [outputSwitch(...both)]), () => {}),
  ];
  return node;
}

function updateBucket(node, bucket) {
  put(node.querySelector("h3"), bucket.name);
  const auth = { none: "anyone who knows an address may send", basic: "senders need a name and password", token: "senders need a token" }[bucket.auth.type];
  const notes = [bucket.description, auth, bucket.ephemeral && "its webhooks are in memory only", isDeclared(bucket) && "declared in the relay's file, and changed there"];
  put(node.children[1], notes.filter(Boolean).join("; "));
  const [inputs, outputs] = node.lists;
  inputs.show(bucket.inputs.map(keyed));
  outputs.show(bucket.outputs.map(keyed));
  outputs.list.previousSibling.hidden = bucket.outputs.length > 0;
}

const buckets = new Keyed(id("buckets"), makeBucket, updateBucket);

// Tokens, and who is subscribed

const scopes = choice("bucket", "Buckets");

const tokens = new Keyed(id("tokens"), (token) => {
  const names = token.scopes.buckets.map((one) => buckets.nodes.get(one)?.shown.name || one);
  const notes = [
    names.length ? `for ${names.join(", ")}` : "for all buckets", token.api_access === "disabled" && "not for this interface",
    token.active ? "" : "switched off", isDeclared(token) ? "declared in the relay's file" : `made ${day(token.created_at)}`,
  ];
  const row = make("li", "", "", make("div", "", "",
    make("p", "", token.description || token.id, make("span", "soft small code", token.description ? ` ${token.id}` : "")),
    make("p", "soft small", notes.filter(Boolean).join(", "))));
  if (!isDeclared(token)) row.append(remover(`the token ${token.description || token.id}`, path("tokens", token.id), "tokens-title"));
  return row;
}, () => {});

async function makeToken({ description, bucket }, button) {
  const answer = await change(button, "A token was made.", path("tokens"), "POST", { description, scopes: { buckets: bucket ? [bucket] : [] } });
  if (!answer.error) {
    put(id("made-key"), answer.key);
    put(id("made-secret"), answer.secret);
    id("made").hidden = false;
    id("made").focus();
  }
  return answer;
}

function forgetMade() {
  for (const name of ["made-key", "made-secret"]) put(id(name), "");
  id("made").hidden = true;
  id("tokens-title").focus();
}

const clients = new Keyed(id("clients"), (client) => make("li", "", "",
  make("p", "", client.key, make("span", "soft small", ` from ${client.client_ip}, since ${day(client.subscribed_at)}`)),
  make("p", "soft small", [client.buckets.join(", "), client.group && `group ${client.group}`, client.client_version].filter(Boolean).join("; "))), () => {});

// All but the log

async function lookAround() {
  const [kept, made, present] = await Promise.all(["buckets", "tokens", "connected-clients"].map((one) => ask(path(one))));
  if (kept.error) return kept;
  mayChange ||= !made.error;
  buckets.show(kept.map((one) => [one.id, one]));
  offerBuckets(kept);
  for (const name of ["new-bucket", "tokens-section"]) id(name).hidden = !mayChange;
  id("confined").hidden = mayChange;
  if (!made.error) tokens.show(made.map(keyed));
  if (!present.error) {
    clients.show(present.map(keyed));
    id("no-clients").hidden = present.length > 0;
  }
  return kept;
}

function offerBuckets(found) {
  const select = scopes.lastChild, chosen = select.value, names = JSON.stringify(found.map(({ name }) => name));
  if (select.shown === names) return;
  select.shown = names;
  select.replaceChildren(option("", "all, and changing things"), ...found.map((one) => option(one.id, `only ${one.name}`)));
  select.value = chosen;
}

async function stayCurrent() {
  for (;;) {
    await pause(LOOK_AROUND);
    if (!document.hidden) await lookAround();
  }
}

// Beginning

id("new-bucket").append(adding("Add a bucket", [
  field("name", "Name", { required: true, maxLength: 100 }), field("description", "Description, if any"),
  choice("kept", "Its webhooks are kept", option("log", "in the log"), option("memory", "in memory only")),
], ({ kept, ...said }, button) => change(button, `Added: ${said.name}.`, path("buckets"), "POST", { ...said, ephemeral: kept === "memory" })));
id("new-token").append(adding("Make a token", [field("description", "What it is for", { required: true, maxLength: 200 }), scopes], makeToken));
id("made-copy").addEventListener("click", () => copy(id("made-secret").textContent, id("made-secret")));
id("made-done").addEventListener("click", forgetMade);
id("sign-out").addEventListener("click", () => location.reload());
id("filter").addEventListener("input", draw);
id("pause").addEventListener("click", () => {
  paused = !paused;
  id("pause").setAttribute("aria-pressed", String(paused));
  draw();
});

id("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  put(id("refused"), "");
  credentials = basic(id("key").value, id("secret").value);
  const found = await lookAround();
  if (found.error) {
    put(id("refused"), `Not signed in: ${found.error}.`);
    return;
  }
  if (!id("signed-in").hidden) return; // the form was sent twice
  put(id("who"), `at ${ADDRESS}, as ${id("key").value}`);
  id("secret").value = "";
  id("signed-out").hidden = true;
  id("signed-in").hidden = false;
  id("webhooks").focus();
  follow();
  stayCurrent();
});
