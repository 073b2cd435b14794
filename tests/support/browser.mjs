// Drives a headless Chromium for a test: takes JSON lines {id, code} on standard input, runs the code with
// `page` and `browser` in scope, and answers each by a JSON line {id, result} or {id, error}.
// Arguments: the program, a new folder for its profile, and as JSON the options of the browser's context,
// `args` among them for more arguments of the program.
import {createRequire} from "node:module";
import {readFileSync} from "node:fs";
import {createInterface} from "node:readline";

const require = createRequire(`${process.cwd()}/`);
const {chromium} = require("playwright-core");
const [, , executablePath, profile, given] = process.argv;
const {args = [], ...options} = JSON.parse(given);

const browser = await chromium.launchPersistentContext(profile, {
  executablePath,
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", ...args,
  ],
  ...options,
});
// What the page asked for, and whatever it complained of.
const seen = {requests: [], complaints: []};
browser.on("request", (request) => seen.requests.push(request.url()));
browser.on("console", (message) => {
  if (["error", "warning"].includes(message.type())) seen.complaints.push(message.text());
});
browser.on("weberror", (error) => seen.complaints.push(String(error.error())));
const page = browser.pages()[0] ?? await browser.newPage();
page.setDefaultTimeout(15000);
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const Run = Object.getPrototypeOf(async () => {}).constructor;
for await (const line of createInterface({input: process.stdin})) {
  const {id, code} = JSON.parse(line);
  let answer;
  try {
    answer = {id, result: await new Run("page", "browser", "seen", "axe", code)(page, browser, seen, axe) ?? null};
  } catch (error) {
    answer = {id, error: String(error.stack ?? error)};
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
