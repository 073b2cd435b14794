// What the daemon tells as it happens

function connection(text, className) {
  live(text, className);
  const isLost = className === "bad";
  if (isLost !== (lostAt !== null)) lostAt = isLost ? Date.now() / 1000 : null;
  document.body.classList.toggle("stale", isLost);
  if (status) showVerdict();
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
    source.addEventListener("all", (event) => { hooks.clear(); drawHooks(); take(event); connection("live", "good"); });
  source.onmessage = take;
  source.onerror = async () => {
    connection("no connection to the bridge", "bad");
    if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
    source.close();
    await ask("readyz"); // shows the login form where that is what is missing
    setTimeout(listen, 3000);
  };
}

id("reload").addEventListener("click", async (event) => {
  const answer = await ask("reload", {}, event.currentTarget);
  say(answer.error ? `It could not be done: ${answer.error}` : `The routing file was read: ${answer.outcome}.`);
});
setInterval(() => { if (status && !document.hidden) showStatus(); }, 10000);
listen();
