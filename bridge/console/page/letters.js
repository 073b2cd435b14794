// Dead letters

const MOST_LETTERS = 100;
let loading = null, known = "";

/** Ask for them where their number changed. */
function watchLetters() {
  const dead = Object.values(status.targets).reduce((sum, target) => sum + target.dead, 0);
  if (known !== `${status.journal.dead} ${dead}`) { known = `${status.journal.dead} ${dead}`; loadLetters(); }
}

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
  return make("li", "", "",
    make("p", "", "", make("strong", "", letter.route), `: ${letter.target} ← ${letter.place || "(not rendered)"}`),
    make("p", "bad", `${letter.code}: ${letter.reason}`),
    make("div", "bar", "",
      make("span", "soft small", `number ${letter.id}, ${clock(letter.at)}${letter.attempts ? `, ${retried(letter.attempts)}` : ""}`),
      retry, discard));
}

function showLetters(found) {
  const shown = found.slice(0, MOST_LETTERS), total = Math.max(status.journal.dead, found.length);
  letters.show(shown.map((letter) => [letter.id, letter]));
  id("retry-all").hidden = shown.length < 2;
  put(id("dead-note"), total === 0 ? "None." : `The oldest ${shown.length} of ${total} are shown.`);
  id("dead-note").hidden = total > 0 && shown.length >= total;
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

id("retry-all").addEventListener("click", (event) => retryLetters([...letters.nodes.keys()], event.currentTarget));
